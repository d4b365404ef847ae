#include "src/storage/check.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace bif::storage {
namespace {

constexpr absl::Duration kNap = absl::Milliseconds(50);  // how late a cancelled check may notice

}  // namespace

CheckRun::CheckRun(const CheckOptions& options) : options_(options), started_(absl::Now()) {}

absl::Status CheckRun::Looked(int64_t bytes) {
  ++summary_.objects;
  summary_.bytes += bytes;
  if (options_.on_progress) options_.on_progress(summary_);
  while (true) {
    if (options_.cancel.cancelled()) return absl::CancelledError("the check was cancelled");
    if (options_.bytes_per_second <= 0) return absl::OkStatus();
    const absl::Time due = started_ + absl::Seconds(static_cast<double>(summary_.bytes) /
                                                    static_cast<double>(options_.bytes_per_second));
    const absl::Duration early = due - absl::Now();
    if (early <= absl::ZeroDuration()) return absl::OkStatus();
    absl::SleepFor(std::min(early, kNap));
  }
}

void CheckRun::Found(const Damage& damage) {
  ++summary_.damaged;
  if (options_.on_damage) options_.on_damage(damage);
}

}  // namespace bif::storage
