#include "client/error.h"

#include "client/operation_result.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/client/fake_server.h"

namespace bif::client {
namespace {

using testing::HasSubstr;
using testing::Not;

google::rpc::Status FieldAtFault() {
  return WithErrorReason(WithFieldViolation(MakeError(3, "settings.nbeta: must be above 0, is -1"),
                                            "settings.nbeta", "must be above 0, is -1"),
                         "BAD_FIELD");
}

TEST(Error, DetailsAreDecoded) {
  const ErrorDetails details = DetailsOf(StatusFromRpc(WithRetryAfter(FieldAtFault(), 1.5)));
  EXPECT_EQ(details.reason, "BAD_FIELD");
  EXPECT_EQ(details.domain, "bif");
  ASSERT_EQ(details.field_violations.size(), 1u);
  EXPECT_EQ(details.field_violations[0].field, "settings.nbeta");
  EXPECT_EQ(details.field_violations[0].description, "must be above 0, is -1");
  EXPECT_EQ(details.retry_delay, absl::Seconds(1.5));
}

TEST(Error, AnErrorWithoutDetailsHasNone) {
  const ErrorDetails details = DetailsOf(absl::NotFoundError("no such posterior"));
  EXPECT_TRUE(details.reason.empty());
  EXPECT_TRUE(details.field_violations.empty());
  EXPECT_FALSE(details.retry_delay.has_value());
}

TEST(Error, DamagedDetailsAreLeftOut) {
  google::rpc::Status error = MakeError(3, "bad");
  auto& detail = *error.add_details();
  detail.set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  detail.set_value("\xff\xff\xff");
  EXPECT_EQ(DescribeError(StatusFromRpc(error)), "invalid argument: bad");
}

TEST(Error, ASentenceNamesFieldAndReasonOnce) {
  EXPECT_EQ(DescribeError(StatusFromRpc(FieldAtFault())),
            "invalid argument: settings.nbeta: must be above 0, is -1 [BAD_FIELD]");
}

TEST(Error, ASentenceAddsFieldsThatTheMessageLeavesOut) {
  const std::string text = DescribeError(StatusFromRpc(WithFieldViolation(
      MakeError(3, "the request is invalid"), "columns[1].shape", "must not be empty")));
  EXPECT_THAT(text, HasSubstr("columns[1].shape: must not be empty"));
}

TEST(Error, ASentenceSaysWhenToTryAgain) {
  const std::string text =
      DescribeError(StatusFromRpc(WithRetryAfter(MakeError(8, "the queue is full"), 3)));
  EXPECT_EQ(text, "resource exhausted: the queue is full (try again in 3s)");
}

TEST(Error, AnUnknownCodeStaysAnError) {
  EXPECT_EQ(StatusFromRpc(MakeError(99, "odd")).code(), absl::StatusCode::kUnknown);
}

TEST(OperationResult, IsTheResponseOrTheOperationsOwnError) {
  google::longrunning::Operation operation;
  operation.set_name("operations/1");
  EXPECT_EQ(OperationResult<v1::Posterior>(operation).status().code(),
            absl::StatusCode::kFailedPrecondition);

  operation.set_done(true);
  v1::Posterior posterior;
  posterior.set_name("posteriors/p");
  operation.mutable_response()->PackFrom(posterior);
  EXPECT_EQ(OperationResult<v1::Posterior>(operation)->name(), "posteriors/p");
  EXPECT_EQ(OperationResult<v1::Dataset>(operation).status().code(), absl::StatusCode::kInternal);

  *operation.mutable_error() = WithErrorReason(MakeError(1, "cancelled"), "CANCELLED_BY_USER");
  const absl::Status status = OperationResult<v1::Posterior>(operation).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(DetailsOf(status).reason, "CANCELLED_BY_USER");
}

}  // namespace
}  // namespace bif::client
