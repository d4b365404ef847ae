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
