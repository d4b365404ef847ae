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

TEST(TensorSpec, AScalarHasOneElement) {
  const TensorSpec label{"label", DType::kInt64, {}};
  EXPECT_EQ(label.elements(), 1);
  EXPECT_EQ(label.bytes(), 8u);
  EXPECT_EQ(label.ToString(), "label int64[]");
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
  EXPECT_NE(status.message().find("row 2 of column 'image' holds a NaN at element 1"), std::string::npos) << status;
  values[9] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(ValidateBatch(BatchOf(values), {kImage}).ok());
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
