// What a posterior's chains look like, in numbers and in one word. Pure function of stored series;
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace bif::attribution {

enum class Verdict : uint8_t {
  kMixed = 1,          // the chains agree with each other and with their own halves
  kDrifting = 2,       // they do not yet: burn in longer, or draw more
  kStuckAtAnchor = 3,  // the losses hardly move: too little signal for any covariance
  kDiverged = 4,       // no chain is left, or fewer than half
};
std::string_view VerdictName(Verdict verdict);  // "STUCK_AT_ANCHOR"

struct Quantiles {
  double p05 = 0;
  double median = 0;
  double p95 = 0;
};
// Linear interpolation between order statistics; zeros for no values.
Quantiles QuantilesOf(std::vector<double> values);

struct DiagnosticsInput {
  // Of the chains that have not diverged, chain after chain, `draws` numbers each.
  int64_t chains = 0;
  int64_t draws = 0;
  absl::Span<const float> sampling_loss;    // mean batch loss since the draw before
  absl::Span<const float> mean_trace_loss;  // mean over the training samples; empty if unknown
  absl::Span<const float>
      traces;              // a fixed random subset of training traces [subset, chains * draws]
  double anchor_loss = 0;  // L(w*), mean over the training samples
  double nbeta = 0;
  int64_t diverged_chains = 0;
};

struct DiagnosticsResult {
  double r_hat = 1;  // of the sampling loss
  double ess_bulk = 0;
  Quantiles trace_r_hat;
  Quantiles trace_ess;
  double autocorrelation_time = 1;  // of the sampling loss, in draws
  double mean_loss = 0;             // E[L]
  // Local learning coefficient nbeta * (E[L] - L(w*)) (arXiv 2308.12108) with its batch-means
  // standard error.
  double llc = 0;
  double llc_standard_error = 0;
  Verdict verdict = Verdict::kMixed;
  std::string explanation;  // a sentence or two with the numbers behind the verdict
};

DiagnosticsResult Diagnose(const DiagnosticsInput& input);

// Mean of autocorrelated draws with a standard error from the means of MakeLayout's blocks (method
// of batch means).
struct MeanEstimate {
  double mean = 0;
  double standard_error = 0;  // infinite with fewer than 2 blocks
};
MeanEstimate MeanOfDraws(int64_t chains, int64_t draws, absl::Span<const float> values);

}  // namespace bif::attribution
