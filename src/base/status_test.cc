#include "src/base/status.h"

#include <gtest/gtest.h>

namespace bif {
namespace {

TEST(FieldError, CarriesItsPathThroughAnnotation) {
  const absl::Status status =
      Annotate(FieldError("settings.nbeta", "must be above 0, is -1"), "posterior");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "posterior: settings.nbeta: must be above 0, is -1");
  EXPECT_EQ(FieldPath(status), "settings.nbeta");
}

TEST(Reason, IsAbsentUntilGiven) {
  absl::Status status = absl::ResourceExhaustedError("disk is full");
  EXPECT_EQ(Reason(status), std::nullopt);
  EXPECT_EQ(Reason(WithReason(status, "DISK_FULL")), "DISK_FULL");
  EXPECT_TRUE(WithReason(absl::OkStatus(), "DISK_FULL").ok());
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  BIF_ASSIGN_OR_RETURN(const int half, Half(value));
  BIF_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(AssignOrReturn, StopsAtTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_FALSE(Quarter(6).ok());
}

}  // namespace
}  // namespace bif
