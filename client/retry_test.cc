#include "client/retry.h"

#include "client/error.h"
#include "gtest/gtest.h"
#include "tests/support/client/fake_server.h"

namespace bif::client {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

std::optional<absl::Duration> Delay(const absl::Status& status, int attempts, double uniform,
                                    bool repeatable = true, absl::Duration time_left = kLong) {
  return DelayBeforeRetry(RetryPolicy(), status, repeatable, attempts, time_left, uniform);
}

TEST(Retry, UnavailableBacksOffExponentiallyUpToACap) {
  const absl::Status status = absl::UnavailableError("restarting");
  RetryPolicy policy;
  policy.max_attempts = 100;
  policy.jitter = 0;
  const auto delay = [&](int attempts) {
    return *DelayBeforeRetry(policy, status, true, attempts, kLong, 0.5);
  };
  EXPECT_EQ(delay(1), absl::Milliseconds(100));
  EXPECT_EQ(delay(2), absl::Milliseconds(200));
  EXPECT_EQ(delay(4), absl::Milliseconds(800));
  EXPECT_EQ(delay(50), policy.max_backoff);
}

TEST(Retry, JitterSpreadsTheBackoffOverItsUpperHalf) {
  const absl::Status status = absl::UnavailableError("restarting");
  EXPECT_EQ(Delay(status, 1, 0.0), absl::Milliseconds(50));
  EXPECT_EQ(Delay(status, 1, 0.5), absl::Milliseconds(75));
}

TEST(Retry, TheServersDelayIsKeptToWhateverTheCode) {
  for (const int code : {8, 10, 14}) {  // RESOURCE_EXHAUSTED, ABORTED, UNAVAILABLE
    const absl::Status status = StatusFromRpc(WithRetryAfter(MakeError(code, "busy"), 2.5));
    EXPECT_EQ(Delay(status, 3, 0.0), absl::Seconds(2.5)) << code;
    EXPECT_GE(*Delay(status, 3, 0.9), absl::Seconds(2.5)) << code;
  }
}

TEST(Retry, OtherErrorsAreFinal) {
  EXPECT_FALSE(Delay(absl::InvalidArgumentError("no"), 1, 0.5));
  EXPECT_FALSE(Delay(absl::ResourceExhaustedError("no RetryInfo"), 1, 0.5));
  EXPECT_FALSE(Delay(absl::DeadlineExceededError("late"), 1, 0.5));
  EXPECT_FALSE(Delay(absl::OkStatus(), 1, 0.5));
}

TEST(Retry, CallsThatMustNotRunTwiceAreNotRepeated) {
  EXPECT_FALSE(Delay(absl::UnavailableError("gone"), 1, 0.5, /*repeatable=*/false));
}

TEST(Retry, AttemptsAreCounted) {
  const int most = RetryPolicy().max_attempts;
  EXPECT_TRUE(Delay(absl::UnavailableError("gone"), most - 1, 0.5));
  EXPECT_FALSE(Delay(absl::UnavailableError("gone"), most, 0.5));
}

TEST(Retry, AWaitThatOutlastsTheDeadlineIsNotBegun) {
  const absl::Status status = StatusFromRpc(WithRetryAfter(MakeError(14, "busy"), 10));
  EXPECT_FALSE(Delay(status, 1, 0.0, true, absl::Seconds(10)));
  EXPECT_TRUE(Delay(status, 1, 0.0, true, absl::Seconds(11)));
}

}  // namespace
}  // namespace bif::client
