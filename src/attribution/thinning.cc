#include "src/attribution/thinning.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "src/attribution/convergence.h"
#include "src/attribution/diagnostics.h"

namespace bif::attribution {
namespace {

constexpr double kLargestRho = 1 - 1e-9;

// The rho of the AR(1) process that has this autocorrelation time: time = (1 + rho)/(1 - rho).
double RhoOfTime(double time) { return (time - 1) / (time + 1); }

}  // namespace

double ThinningEfficiency(int64_t k, double rho, double cost_ratio) {
  const double power = std::pow(rho, static_cast<double>(k));
  return (1 + cost_ratio) / (static_cast<double>(k) + cost_ratio) * (1 + rho) / (1 - rho) *
         (1 - power) / (1 + power);
}

ThinningChoice ChooseThinning(int64_t chains, int64_t steps, absl::Span<const float> traces,
                              double cost_ratio, int64_t largest) {
  std::vector<double> rhos;
  const int64_t values = chains * steps;
  for (int64_t row = 0; values > 0 && (row + 1) * values <= static_cast<int64_t>(traces.size());
       ++row) {
    rhos.push_back(
        RhoOfTime(AutocorrelationTime(chains, steps, traces.subspan(row * values, values))));
  }
  const double trace_rho = QuantilesOf(std::move(rhos)).median;
  ThinningChoice choice;
  choice.autocorrelation = std::clamp(trace_rho * trace_rho, 0.0, kLargestRho);

  // The efficiency rises to one maximum and then falls. The best k is below every `largest` that a
  // user would set, so a plain scan is quick enough.
  const auto efficiency = [&](int64_t k) {
    return ThinningEfficiency(k, choice.autocorrelation, cost_ratio);
  };
  double best = 0;
  for (int64_t k = 1; k <= largest; ++k) best = std::max(best, efficiency(k));
  while (choice.steps_between_draws < largest &&
         efficiency(choice.steps_between_draws) < 0.99 * best) {
    ++choice.steps_between_draws;
  }
  choice.relative_efficiency = efficiency(choice.steps_between_draws);
  return choice;
}

std::string ThinningChoice::ToString() const {
  return absl::StrFormat(
      "%d steps between draws: products of two traces have autocorrelation %.3f a step in the "
      "pilot, so this is %.2f "
      "times as efficient as tracing every step",
      steps_between_draws, autocorrelation, relative_efficiency);
}

}  // namespace bif::attribution
