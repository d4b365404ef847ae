#include "src/jobs/speeds.h"

namespace bif::jobs {

void Speeds::AddGradients(const std::string& checkpoint, int64_t samples, absl::Duration time) {
  absl::MutexLock lock(&mutex_);
  Sum& sum = measured_[checkpoint].gradients;
  sum.samples += samples;
  sum.time += time;
}

void Speeds::AddForwards(const std::string& checkpoint, int64_t samples, absl::Duration time) {
  absl::MutexLock lock(&mutex_);
  Sum& sum = measured_[checkpoint].forwards;
  sum.samples += samples;
  sum.time += time;
}

std::optional<absl::Duration> Speeds::Predict(const std::string& checkpoint,
                                              int64_t gradient_samples,
                                              int64_t forward_samples) const {
  absl::MutexLock lock(&mutex_);
  const auto found = measured_.find(checkpoint);
  if (found == measured_.end()) return std::nullopt;
  const Measured& measured = found->second;
  if (measured.gradients.samples == 0 || measured.forwards.samples == 0) return std::nullopt;
  const auto share = [](int64_t part, int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  return measured.gradients.time * share(gradient_samples, measured.gradients.samples) +
         measured.forwards.time * share(forward_samples, measured.forwards.samples);
}

}  // namespace bif::jobs
