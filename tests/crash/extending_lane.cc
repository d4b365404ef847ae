#include "tests/crash/extending_lane.h"

#include "google/rpc/status.pb.h"

namespace bif::testing {

namespace v1 = ::bif::v1;

void ExtendingLane::Round(int round) {
  Choices choices(seed_, static_cast<uint64_t>(number_) << 32 | static_cast<uint64_t>(round));
  draws_ += static_cast<uint32_t>(choices.Between(3, 40));
  Extend(absl::StrCat("lane", number_, "-round", round), choices.Between(0, 4) == 0);
}

void ExtendingLane::Finish() { Extend(absl::StrCat("lane", number_, "-finish"), false); }

void ExtendingLane::Extend(const std::string& request_id, bool cancel) {
  v1::ExtendPosteriorRequest request;
  request.set_request_id(request_id);
  request.set_name(posterior_);
  request.set_draws_per_chain(draws_);
  ledger_.Changing(posterior_);
  const auto started = Start(
      request_id, [request](client::Client& client) { return client.ExtendPosterior(request); });
  if (cancel) {
    DoOnce("CancelOperation",
           [&](client::Client& client) { return client.CancelOperation(started.name()); });
  }
  const Ledger::Operation ended = AwaitEnd(started.name());
  if (ended.has_error() && !cancel) Fail("extending", absl::InternalError(ended.error().message()));
  TakeDown(posterior_);
}

}  // namespace bif::testing
