#include "src/jobs/samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "src/base/status.h"

namespace bif::jobs {
namespace {

const std::vector<TensorSpec> kColumns = {{"image", DType::kFloat32, {2}},
                                          {"label", DType::kUint8, {}}};

std::vector<std::byte> Bytes(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Sample SampleOf(float a, float b, uint8_t label) {
  return {"id", {{kColumns[0], Bytes({a, b})}, {kColumns[1], {std::byte{label}}}}};
}

std::string PathOfFault(const Sample& bad) {
  const absl::Status status = BatchOf({SampleOf(1, 2, 3), bad}, kColumns, "samples").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return FieldPath(status).value_or("none");
}

TEST(Samples, BecomeABatchWhateverTheOrderOfTheirTensors) {
  Sample swapped = SampleOf(3, 4, 5);
  std::swap(swapped.tensors[0], swapped.tensors[1]);
  const absl::StatusOr<SampleBatch> batch =
      BatchOf({SampleOf(1, 2, 9), swapped}, kColumns, "samples");
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->rows, 2);
  EXPECT_EQ(batch->columns[0].data, Bytes({1, 2, 3, 4}));
  EXPECT_EQ(batch->columns[1].data, (std::vector<std::byte>{std::byte{9}, std::byte{5}}));
  EXPECT_EQ(SampleAt(*batch, 1, "x").tensors[0].data, Bytes({3, 4}));
  SampleBatch twice;
  AppendRows(*batch, twice);
  AppendRows(*batch, twice);
  EXPECT_EQ(twice.rows, 4);
  EXPECT_EQ(twice.columns[0].data, Bytes({1, 2, 3, 4, 1, 2, 3, 4}));
}

TEST(Samples, FaultsNameSampleAndTensor) {
  EXPECT_EQ(PathOfFault(SampleOf(1, NAN, 0)), "samples[1].tensors[0]");
  EXPECT_EQ(PathOfFault(SampleOf(INFINITY, 0, 0)), "samples[1].tensors[0]");
  Sample bad = SampleOf(1, 2, 3);
  bad.tensors[1].spec.dtype = DType::kInt64;
  EXPECT_EQ(PathOfFault(bad), "samples[1].tensors[1]");
  bad = SampleOf(1, 2, 3);
  bad.tensors[0].spec.shape = {1, 2};
  EXPECT_EQ(PathOfFault(bad), "samples[1].tensors[0]");
  bad = SampleOf(1, 2, 3);
  bad.tensors[0].data.pop_back();
  EXPECT_EQ(PathOfFault(bad), "samples[1].tensors[0]");
  bad = SampleOf(1, 2, 3);
  bad.tensors[1] = bad.tensors[0];
  EXPECT_EQ(PathOfFault(bad), "samples[1].tensors[1]");
  bad = SampleOf(1, 2, 3);
  bad.tensors[1].spec.name = "colour";
  EXPECT_EQ(PathOfFault(bad), "samples[1].tensors[1]");
  bad = SampleOf(1, 2, 3);
  bad.tensors.pop_back();
  EXPECT_EQ(PathOfFault(bad), "samples[1]");
}

const std::vector<TensorSpec> kSequence = {{"tokens", DType::kInt32, {-1}},
                                           {"mask", DType::kBool, {-1}}};

// Every token is 1; the mask has the same length.
Sample SequenceOf(int64_t length) {
  std::vector<int32_t> tokens(static_cast<size_t>(length), 1);
  const auto* begin = reinterpret_cast<const std::byte*>(tokens.data());
  return {"id",
          {{{"tokens", DType::kInt32, {length}}, {begin, begin + tokens.size() * sizeof(int32_t)}},
           {{"mask", DType::kBool, {length}}, std::vector<std::byte>(tokens.size())}}};
}

TEST(Samples, OfAnyLengthBecomeABatchAndComeBack) {
  const absl::StatusOr<SampleBatch> batch =
      BatchOf({SequenceOf(3), SequenceOf(1), SequenceOf(7)}, kSequence, "samples");
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_TRUE(ValidateBatch(*batch, kSequence).ok());
  for (const auto& [row, length] : {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {2, 7}}) {
    const Sample sample = SampleAt(*batch, row, "id");
    EXPECT_EQ(sample.tensors[0].spec.shape, std::vector<int64_t>{length});
    EXPECT_EQ(sample.tensors[0].data, SequenceOf(length).tensors[0].data);
    EXPECT_EQ(sample.tensors[1].data, SequenceOf(length).tensors[1].data);
  }
  const size_t some[] = {2, 0};
  const SampleBatch selected = SelectRows(*batch, some);
  EXPECT_EQ(selected.columns[0].row_ends, (std::vector<uint64_t>{28, 40}));
  SampleBatch twice;
  AppendRows(*batch, twice);
  AppendRows(selected, twice);
  EXPECT_TRUE(ValidateBatch(twice, kSequence).ok());
  EXPECT_EQ(twice.columns[1].RowShape(3), std::vector<int64_t>{7});
}

TEST(Samples, EmptyAndMisshapenSequencesNameTheirTensor) {
  const auto path_of = [](const Sample& bad) {
    const absl::Status status =
        BatchOf({SequenceOf(2), SequenceOf(3), SequenceOf(1), bad}, kSequence, "samples").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return FieldPath(status).value_or("none");
  };
  EXPECT_EQ(path_of(SequenceOf(0)), "samples[3].tensors[0]");
  Sample bad = SequenceOf(4);
  bad.tensors[0].spec.shape = {-1};  // the column's shape, not the sample's own
  EXPECT_EQ(path_of(bad), "samples[3].tensors[0]");
  bad = SequenceOf(4);
  bad.tensors[1].spec.shape = {5};
  EXPECT_EQ(path_of(bad), "samples[3].tensors[1]");
  bad = SequenceOf(4);
  bad.tensors[1].spec.shape = {int64_t{1} << 62};
  EXPECT_EQ(path_of(bad), "samples[3].tensors[1]");
  bad = SequenceOf(4);
  bad.tensors[0].spec.shape = {2, 2};
  EXPECT_EQ(path_of(bad), "samples[3].tensors[0]");
}

TEST(Samples, ProgramsThatTakeAnyLengthFitColumnsOfAnyAndOfOneLength) {
  const std::vector<TensorSpec> any = {{"tokens", DType::kInt64, {-1}}};
  const std::vector<TensorSpec> one = {{"tokens", DType::kInt64, {64}}};
  EXPECT_TRUE(CheckColumnsFit(any, any).ok());
  EXPECT_TRUE(CheckColumnsFit(one, any).ok());
  EXPECT_TRUE(CheckColumnsFit(one, one).ok());
  EXPECT_FALSE(CheckColumnsFit(any, one).ok());
}

TEST(Samples, ColumnsFitWhereNamesTypesAndShapesDo) {
  EXPECT_TRUE(CheckColumnsFit(kColumns, {{"image", DType::kUnspecified, {-1}}}).ok());
  EXPECT_TRUE(CheckColumnsFit(kColumns, {{"label", DType::kUint8, {}}}).ok());
  for (const TensorSpec& needed :
       {TensorSpec{"image", DType::kUint8, {2}}, TensorSpec{"image", DType::kFloat32, {3}},
        TensorSpec{"image", DType::kFloat32, {2, 1}}, TensorSpec{"mask", DType::kBool, {}}}) {
    const absl::Status refused = CheckColumnsFit(kColumns, {needed});
    EXPECT_TRUE(absl::IsInvalidArgument(refused));
    EXPECT_NE(refused.message().find(needed.name), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace bif::jobs
