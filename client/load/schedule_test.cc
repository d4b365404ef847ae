#include "client/load/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace bif::client::load {
namespace {

std::vector<double> Gaps(double rate, uint64_t seed, int count) {
  PoissonArrivals arrivals(rate, seed);
  std::vector<double> gaps;
  double last = 0;
  for (int i = 0; i < count; ++i) {
    const double now = absl::ToDoubleSeconds(arrivals.Next());
    gaps.push_back(now - last);
    last = now;
  }
  return gaps;
}

TEST(LoadSchedule, ArrivalsArePoisson) {
  constexpr int kCount = 20'000;
  constexpr double kRate = 250;
  std::vector<double> gaps = Gaps(kRate, 1, kCount);
  double sum = 0;
  for (const double gap : gaps) sum += gap;
  // The mean of n exponential gaps has the standard deviation mean / sqrt(n).
  EXPECT_NEAR(sum / kCount * kRate, 1, 5 / std::sqrt(kCount));
  // Kolmogorov and Smirnov: the largest distance to 1 - exp(-rate x) is below 1.95 / sqrt(n) with a
  // probability of 99.9 %.
  std::sort(gaps.begin(), gaps.end());
  double distance = 0;
  for (int i = 0; i < kCount; ++i) {
    const double expected = 1 - std::exp(-kRate * gaps[static_cast<size_t>(i)]);
    distance = std::max({distance, std::abs(expected - static_cast<double>(i) / kCount),
                         std::abs(expected - static_cast<double>(i + 1) / kCount)});
  }
  EXPECT_LT(distance, 1.95 / std::sqrt(kCount));
}

TEST(LoadSchedule, CountsInWindowsVaryAsPoissonCountsDo) {
  PoissonArrivals arrivals(100, 2);
  constexpr int kWindows = 2000;  // of one second
  std::vector<double> counts(kWindows);
  for (double at; (at = absl::ToDoubleSeconds(arrivals.Next())) < kWindows;)
    ++counts[static_cast<size_t>(at)];
  double mean = 0, squares = 0;
  for (const double count : counts) mean += count / kWindows;
  for (const double count : counts) squares += (count - mean) * (count - mean) / (kWindows - 1);
  // Variance and mean are equal; their ratio has a standard deviation of about sqrt(2 / n). Evenly
  // spaced calls would give 0.
  EXPECT_NEAR(squares / mean, 1, 5 * std::sqrt(2.0 / kWindows));
}

TEST(LoadSchedule, TheSameSeedGivesTheSameTimes) {
  EXPECT_EQ(Gaps(10, 5, 100), Gaps(10, 5, 100));
  EXPECT_NE(Gaps(10, 5, 100), Gaps(10, 6, 100));
}

TEST(LoadSchedule, TimeNeverRunsBackwards) {
  for (const double gap : Gaps(1e6, 9, 10'000)) EXPECT_GE(gap, 0);
}

}  // namespace
}  // namespace bif::client::load
