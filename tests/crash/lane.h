// A client that works through one thing after the other, whatever happens to the daemon meanwhile:
// a call whose daemon is lost is made again with the same request id at the next one. What is
// answered goes into the ledger.
//
// What a lane asks for depends on the seed, its number and the round alone, so another run of it,
// on another directory, has to get the same answers. Confined to a thread, but for Stop and
// lost_calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/crash/ledger.h"
#include "tests/crash/replay.h"
#include "tests/crash/served_daemon.h"

namespace bif::testing {

class Lane {
 public:
  static constexpr int kFewestRounds = 2;

  Lane(ServedDaemon& daemon, Ledger& ledger, uint64_t seed, int number)
      : daemon_(daemon), ledger_(ledger), seed_(seed), number_(number) {}
  virtual ~Lane() = default;

  // So many rounds; 0: until Stop, and at least kFewestRounds. A refusal, or anything else that
  // must not be, throws.
  void Run(int rounds) {
    while (rounds > 0 ? rounds_ < rounds : !stop_ || rounds_ < kFewestRounds) Round(rounds_++);
    Finish();
  }
  void Stop() { stop_ = true; }

  int rounds() const { return rounds_; }
  int lost_calls() const { return lost_calls_; }

 protected:
  virtual void Round(int round) = 0;
  virtual void Finish() {}

  // The answer, or the refusal, of the first daemon that gave one.
  template <typename Call>
  auto Ask(Call call) -> std::invoke_result_t<Call, client::Client&> {
    while (true) {
      const std::optional<ServedDaemon::Visit> visit = daemon_.Enter(earliest_start_);
      if (!visit) throw NobodyServes();
      auto result = call(*visit->client);
      const absl::Status status = StatusOf(result);
      if (LostItsDaemon(status)) {
        ++lost_calls_;
        earliest_start_ = visit->start + 1;
      } else if (!absl::IsUnavailable(status)) {  // else it said: try again
        daemon_.Answered();
        return result;
      }
    }
  }
  // The same where a refusal must not be.
  template <typename Call>
  auto Get(const std::string& what, Call call) {
    auto result = Ask(call);
    if (!result.ok()) Fail(what, result.status());
    return *std::move(result);
  }
  // A call that may have been carried out though its answer was lost, in which case it is refused
  // the second time.
  void DoOnce(const std::string& what, const std::function<absl::Status(client::Client&)>& call) {
    const int lost_before = lost_calls_;
    const absl::Status status = Ask(call);
    if (absl::IsNotFound(status) && lost_calls_ > lost_before) return;
    if (!status.ok()) Fail(what, status);
  }
  // Starts an operation by a call with a request id, and waits for its end.
  Ledger::Operation Start(const std::string& request_id, const Ledger::Repeat& call) {
    const Ledger::Operation operation = Get(request_id, call);
    ledger_.Started(request_id, operation.name(), call);
    return operation;
  }
  Ledger::Operation AwaitEnd(const std::string& operation) {
    const Ledger::Operation ended = Get("waiting for " + operation, [&](client::Client& client) {
      return client.WaitOperation(operation, absl::Minutes(2));
    });
    if (!ended.done()) Fail(operation, absl::DeadlineExceededError("it does not end"));
    ledger_.Ended(ended);
    return ended;
  }
  // The resource is at rest: what it is like now, it has to stay.
  void TakeDown(const std::string& name) {
    ledger_.Is(name,
               Get(name, [&](client::Client& client) { return Ledger::StateOf(client, name); }));
  }

  [[noreturn]] void Fail(const std::string& what, const absl::Status& why) const {
    throw std::runtime_error(absl::StrCat("lane ", number_, ": ", what, ": ", why.ToString()));
  }

  ServedDaemon& daemon_;
  Ledger& ledger_;
  const uint64_t seed_;
  const int number_;

 private:
  static absl::Status StatusOf(const absl::Status& status) { return status; }
  template <typename Value>
  static absl::Status StatusOf(const absl::StatusOr<Value>& result) {
    return result.status();
  }

  int rounds_ = 0;
  int earliest_start_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> lost_calls_ = 0;
};

}  // namespace bif::testing
