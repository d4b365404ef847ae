#include "src/jobs/shared_scans.h"

#include "src/base/catch_exceptions.h"

namespace bif::jobs {

class SharedScans::Task : public DeviceTask {
 public:
  Task(SharedScans& scans, const Key& key, const PosteriorView& view)
      : scans_(scans),
        key_(key),
        scan_(view, CacheUse::kInteractive, scans.models_, scans.draws_, scans.counters_) {}

  Outcome Step() override {
    bool ended = false;
    std::vector<ScanRider> riders = scans_.TakeWaiting(key_, scan_.empty(), ended);
    if (ended) return Outcome::kDone;
    if (!riders.empty()) {
      scan_.Join(std::move(riders));
      return Outcome::kMore;
    }
    const absl::Status status = CatchExceptions([this] {
      scan_.Slice();
      return absl::OkStatus();
    });
    if (!status.ok()) scan_.EndAll(status);
    return Outcome::kMore;
  }

  std::vector<Share> Shares() const override { return scan_.shares(); }

  void Abandon(const absl::Status& why) override {
    scan_.EndAll(why);
    scans_.EndWaiting(key_, why);
  }

 private:
  SharedScans& scans_;
  const Key key_;
  DrawScan scan_;
};

std::vector<ScanRider> SharedScans::TakeWaiting(const Key& key, bool may_end, bool& ended) {
  absl::MutexLock lock(&mutex_);
  const auto found = waiting_.find(key);
  std::vector<ScanRider> riders;
  riders.swap(found->second);
  ended = riders.empty() && may_end;
  if (ended) waiting_.erase(found);
  return riders;
}

void SharedScans::EndWaiting(const Key& key, const absl::Status& why) {
  bool ended = false;
  while (!ended) {
    for (const ScanRider& rider : TakeWaiting(key, true, ended))
      rider.result->Report({{}, true, why});
  }
}

absl::Status SharedScans::Ride(ScanRider rider) {
  const PosteriorView view = rider.spec.view;
  const DeviceClaim claim{Priority::kInteractive, rider.tenant, rider.priority};
  const Key key{view.record.number(), view.draws, view.active_chains};
  {
    absl::MutexLock lock(&mutex_);
    const auto [place, is_new] = waiting_.try_emplace(key);
    place->second.push_back(std::move(rider));
    if (!is_new) return absl::OkStatus();
  }
  const absl::Status submitted = executor_.Submit(claim, std::make_unique<Task>(*this, key, view));
  // Others may have come to ride with it meanwhile.
  if (!submitted.ok()) EndWaiting(key, submitted);
  return submitted;
}

}  // namespace bif::jobs
