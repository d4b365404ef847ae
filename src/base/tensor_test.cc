#include "src/base/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace bif {
namespace {

const TensorSpec kImage{"image", DType::kFloat32, {2, 2}};

SampleBatch BatchOf(const std::vector<float>& values) {
  Column column{kImage, std::vector<std::byte>(values.size() * sizeof(float))};
  std::memcpy(column.data.data(), values.data(), column.data.size());
  return {static_cast<int64_t>(values.size()) / 4, {column}};
}

const TensorSpec kTokens{"tokens", DType::kInt32, {-1}};

absl::Span<const std::byte> BytesOf(const std::vector<int32_t>& values) {
  return {reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(int32_t)};
}

SampleBatch TokensOf(const std::vector<std::vector<int32_t>>& rows) {
  Column column{kTokens, {}};
  for (const auto& row : rows) column.Append(BytesOf(row));
  return {static_cast<int64_t>(rows.size()), {column}};
}

std::vector<int32_t> TokensAt(const Column& column, int64_t row) {
  const absl::Span<const std::byte> bytes = column.Row(row);
  std::vector<int32_t> values(bytes.size() / sizeof(int32_t));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(TensorSpec, AScalarHasOneElement) {
  const TensorSpec label{"label", DType::kInt64, {}};
  EXPECT_EQ(label.elements(), 1);
  EXPECT_EQ(label.bytes(), 8u);
  EXPECT_EQ(label.ToString(), "label int64[]");
}

TEST(TensorSpec, AVariableColumnCountsStepsOfItsFirstDimension) {
  const TensorSpec spectra{"spectra", DType::kFloat32, {-1, 40}};
  EXPECT_TRUE(spectra.variable());
  EXPECT_EQ(spectra.elements(), 40);
  EXPECT_EQ(spectra.bytes(), 160u);
  EXPECT_EQ(spectra.ToString(), "spectra float32[-1,40]");
  EXPECT_FALSE(kImage.variable());
}

TEST(Column, RowsHaveTheirOwnLengths) {
  const Column column = TokensOf({{1, 2, 3}, {4}, {5, 6}}).columns[0];
  EXPECT_EQ(TokensAt(column, 0), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(TokensAt(column, 1), (std::vector<int32_t>{4}));
  EXPECT_EQ(column.RowShape(2), (std::vector<int64_t>{2}));
  EXPECT_EQ(column.Rows(1, 2).size(), 12u);
  EXPECT_EQ(column.Rows(3, 0).size(), 0u);
  const Column images = BatchOf(std::vector<float>(8, 1.0f)).columns[0];
  EXPECT_EQ(images.Row(1).data(), images.data.data() + 16);
  EXPECT_EQ(images.RowShape(1), (std::vector<int64_t>{2, 2}));
}

TEST(Column, RowsOfAnotherKeepTheirLengths) {
  const Column from = TokensOf({{1, 2, 3}, {4}, {5, 6}}).columns[0];
  Column to = TokensOf({{9}}).columns[0];
  to.AppendRows(from, 1, 2);
  to.AppendRows(from, 0, 1);
  EXPECT_EQ(TokensAt(to, 1), (std::vector<int32_t>{4}));
  EXPECT_EQ(TokensAt(to, 2), (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(TokensAt(to, 3), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_TRUE(ValidateBatch({4, {to}}, {kTokens}).ok());
}

TEST(ValidateColumns, TakesAnyLengthInTheFirstDimensionOnly) {
  EXPECT_TRUE(ValidateColumns({kTokens}).ok());
  EXPECT_TRUE(ValidateColumns({{"x", DType::kFloat32, {-1, 40}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kFloat32, {40, -1}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kFloat32, {-1, -1}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kFloat32, {-2}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kInt64, {-1, int64_t{1} << 24}}}).ok());
}

TEST(ValidateColumns, RefusesWhatCannotBeStored) {
  EXPECT_TRUE(ValidateColumns({kImage}).ok());
  EXPECT_FALSE(ValidateColumns({}).ok());
  EXPECT_FALSE(ValidateColumns({kImage, kImage}).ok());
  EXPECT_FALSE(ValidateColumns({{"", DType::kUint8, {1}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kUnspecified, {1}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kUint8, {0}}}).ok());
  EXPECT_FALSE(ValidateColumns({{"x", DType::kUint8, {int64_t{1} << 40, int64_t{1} << 40}}}).ok());
}

TEST(ValidateBatch, NamesTheRowThatHoldsANaN) {
  std::vector<float> values(12, 0.5f);
  EXPECT_TRUE(ValidateBatch(BatchOf(values), {kImage}).ok());
  values[9] = std::nanf("");
  const absl::Status status = ValidateBatch(BatchOf(values), {kImage});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("row 2 of column 'image' holds a NaN at element 1"),
            std::string::npos)
      << status;
  values[9] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(ValidateBatch(BatchOf(values), {kImage}).ok());
}

TEST(ValidateBatch, NamesTheRowWithoutElements) {
  EXPECT_TRUE(ValidateBatch(TokensOf({{1}, {2, 3}}), {kTokens}).ok());
  const absl::Status status = ValidateBatch(TokensOf({{1}, {}, {2, 3}}), {kTokens});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("column 'tokens' is empty in row 1"), std::string::npos)
      << status;
}

TEST(ValidateBatch, RefusesRowEndsThatDoNotFitTheData) {
  const SampleBatch whole = TokensOf({{1}, {2, 3}});
  for (const std::vector<uint64_t>& ends : std::vector<std::vector<uint64_t>>{
           {}, {12}, {4, 8}, {4, 16}, {6, 12}, {8, 4}, {4, 12, 12}}) {
    SampleBatch batch = whole;
    batch.columns[0].row_ends = ends;
    EXPECT_FALSE(ValidateBatch(batch, {kTokens}).ok()) << ends.size();
  }
  SampleBatch fixed = BatchOf(std::vector<float>(4, 1.0f));
  fixed.columns[0].row_ends = {16};
  EXPECT_FALSE(ValidateBatch(fixed, {kImage}).ok());
}

TEST(ValidateBatch, NamesTheElementOfALongRow) {
  const TensorSpec spec{"x", DType::kFloat32, {-1}};
  Column column{spec, {}};
  const std::vector<float> first{1.0f}, second{1.0f, 2.0f, std::nanf("")};
  column.Append({reinterpret_cast<const std::byte*>(first.data()), 4});
  column.Append({reinterpret_cast<const std::byte*>(second.data()), 12});
  const absl::Status status = ValidateBatch({2, {column}}, {spec});
  EXPECT_NE(status.message().find("row 1 of column 'x' holds a NaN at element 2"),
            std::string::npos)
      << status;
}

TEST(ValidateBatch, RefusesASampleAbove64MiB) {
  const TensorSpec bytes{"x", DType::kUint8, {-1}};
  const TensorSpec label{"label", DType::kUint8, {}};
  Column column{bytes, {}}, labels{label, std::vector<std::byte>(1)};
  column.Append(std::vector<std::byte>(kMaxSampleBytes - 1));
  EXPECT_TRUE(ValidateBatch({1, {column, labels}}, {bytes, label}).ok());
  column.data.emplace_back();
  ++column.row_ends[0];
  EXPECT_FALSE(ValidateBatch({1, {column, labels}}, {bytes, label}).ok());
}

TEST(ValidateBatch, RefusesOtherShapesAndCutData) {
  SampleBatch batch = BatchOf(std::vector<float>(8, 1.0f));
  EXPECT_FALSE(ValidateBatch(batch, {{"image", DType::kFloat32, {4}}}).ok());
  EXPECT_FALSE(ValidateBatch(batch, {{"picture", DType::kFloat32, {2, 2}}}).ok());
  batch.columns[0].data.pop_back();
  EXPECT_FALSE(ValidateBatch(batch, {kImage}).ok());
}

}  // namespace
}  // namespace bif
