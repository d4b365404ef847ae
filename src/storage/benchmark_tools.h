// What the benchmarks of this folder share. For benchmarks only: what fails ends the process with
// the reason.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/storage/trace_tile.h"

namespace bif::storage {

inline void Print(const char* name, double value, const char* unit) {
  std::printf("%s %.4g %s\n", name, value, unit);
  std::fflush(stdout);
}

inline void Expect(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}
template <typename Value>
Value Expect(absl::StatusOr<Value> value) {
  Expect(value.status());
  return *std::move(value);
}

inline double Seconds(const std::function<void()>& work) {
  const absl::Time start = absl::Now();
  work();
  return absl::ToDoubleSeconds(absl::Now() - start);
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Cross-entropy losses of a trained classifier, as they look: a level a sample, log-normal, and
// log-normal noise a draw. [draw][slot].
inline std::vector<float> LossTraces(uint32_t slots, uint32_t draws) {
  std::mt19937 random(7);
  std::normal_distribution<float> level(-4, 2), noise(0, 0.3f);
  std::vector<float> sample(slots);
  for (float& value : sample) value = level(random);
  std::vector<float> values(size_t{slots} * draws);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = std::exp(sample[i % slots] + noise(random));
  return values;
}

// Runs work(first slot, slots) on `threads` threads that share the slots, each whole tiles.
inline void InParallel(int threads, uint32_t slots,
                       const std::function<void(uint32_t, uint32_t)>& work) {
  std::vector<std::thread> running;
  const uint32_t share = slots / threads / kTileSlots * kTileSlots;
  for (int t = 0; t < threads; ++t) {
    const uint32_t first = share * static_cast<uint32_t>(t);
    running.emplace_back(work, first, t + 1 == threads ? slots - first : share);
  }
  for (std::thread& thread : running) thread.join();
}

}  // namespace bif::storage
