#include "server/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

using ::testing::HasSubstr;

// The detail of a type, or its default if the status has none.
template <typename Detail>
Detail DetailOf(const google::rpc::Status& status) {
  Detail detail;
  for (const auto& any : status.details()) {
    if (any.Is<Detail>()) any.UnpackTo(&detail);
  }
  return detail;
}

TEST(Errors, FieldErrorNamesThePathInBadRequest) {
  const auto rpc = ToRpcStatus(FieldError("settings.nbeta", "must be above 0, is -1"), "m");
  EXPECT_EQ(rpc.code(), 3);
  const auto bad = DetailOf<google::rpc::BadRequest>(rpc);
  ASSERT_EQ(bad.field_violations_size(), 1);
  EXPECT_EQ(bad.field_violations(0).field(), "settings.nbeta");
  EXPECT_THAT(bad.field_violations(0).description(), HasSubstr("must be above 0"));
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(rpc).reason(), "INVALID_FIELD");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(rpc).domain(), "bif.dev");
}

TEST(Errors, AnExplicitReasonWinsOverTheCodesOwn) {
  const auto rpc = ToRpcStatus(
      WithReason(absl::FailedPreconditionError("still running"), "POSTERIOR_RUNNING"), "m");
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(rpc).reason(), "POSTERIOR_RUNNING");
}

TEST(Errors, OnlyWhatMayBeRetriedCarriesARetryDelay) {
  for (const absl::Status& status :
       {absl::UnavailableError("x"), absl::ResourceExhaustedError("x"), absl::AbortedError("x")}) {
    const auto retry = DetailOf<google::rpc::RetryInfo>(ToRpcStatus(status, "m")).retry_delay();
    EXPECT_GT(retry.seconds() + retry.nanos(), 0) << status;
  }
  for (const absl::Status& status :
       {WithReason(absl::ResourceExhaustedError("x"), "FILE_TOO_LARGE"), absl::NotFoundError("x"),
        absl::InvalidArgumentError("x"), absl::DataLossError("x")}) {
    EXPECT_FALSE(DetailOf<google::rpc::RetryInfo>(ToRpcStatus(status, "m")).has_retry_delay())
        << status;
  }
}

TEST(Errors, InternalAndUnknownGetAnIncidentThatIsInTheLog) {
  for (const absl::Status& status :
       {absl::InternalError("row count is off"), absl::UnknownError("row count is off")}) {
    testing::internal::CaptureStderr();
    const auto rpc = ToRpcStatus(status, "bif.v1.Datasets/GetSample");
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(rpc.code(), 13);
    const auto info = DetailOf<google::rpc::ErrorInfo>(rpc);
    const std::string incident = info.metadata().at("incident");
    EXPECT_THAT(rpc.message(), HasSubstr(incident));
    EXPECT_THAT(log, HasSubstr(incident));
    EXPECT_THAT(log, HasSubstr("row count is off"));
    EXPECT_THAT(log, HasSubstr("bif.v1.Datasets/GetSample"));
  }
}

TEST(Errors, HugeOrBrokenMessagesStayBelowTheMetadataLimit) {
  const auto status =
      ToGrpcStatus(FieldError(std::string(5000, 'a'), std::string(100000, '\xff')), "m");
  EXPECT_LE(status.error_message().size() + status.error_details().size(), 6144u);
  EXPECT_EQ(ToRpcStatus(absl::NotFoundError("caf\xc3\xa9 \xc3("), "m").message(), "caf\xc3\xa9 ?(");
}

TEST(Errors, EveryCodeArrivesAsItselfAndOkAsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), "m").ok());
  for (int code = 1; code <= 16; ++code) {
    if (code == 2) continue;  // UNKNOWN becomes INTERNAL
    EXPECT_EQ(
        ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "x"), "m").error_code(),
        code);
  }
}

}  // namespace
}  // namespace bif::server
