// A score: the estimator that it comes from, its number, and what its sign says. Plain values and
// pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace bif::attribution {

// The numbers are those of bif.v1.
enum class Estimator : uint8_t {
  kBif = 1,
  kNormalizedBif = 2,
  kCovariance = 3,
  kCorrelation = 4,
  kPathwise = 5,  // BIF from slopes (pathwise.h)
  kMixed = 6,     // BIF from both (mixing.h)
};

std::string_view EstimatorName(Estimator estimator);  // "NORMALIZED_BIF"
bool IsCorrelation(Estimator estimator);              // of the two that lie in [-1, 1]
bool IsNegated(Estimator estimator);                  // of those with the sign of BIF
bool NeedsSlopes(Estimator estimator);                // PATHWISE and MIXED: traces are not enough

struct ScoreValue {
  float score = 0;
  float standard_error = 0;  // infinite where there are too few draws to tell
  // One of the traces has no variance (or a value that is not finite): score and standard error are
  // 0.
  bool constant = false;
};

// The score's interval of 95 % leaves out zero.
bool Distinguishable(const ScoreValue& value, double t_quantile);

// What the sign means. Moving a training sample's weight up by d(beta) changes E[phi] by BIF *
// d(beta), so a negative BIF lowers phi: that helps if phi is a loss, and hurts if phi is wanted
// large (probability, margin, logit). +1: a positive score helps; -1: a negative one does.
int HelpfulSign(Estimator estimator, bool observable_is_loss);
bool Helps(const ScoreValue& value, int helpful_sign);
std::string_view SignWord(const ScoreValue& value,
                          int helpful_sign);  // "helps", "hurts" or "neutral" (a score of 0)

}  // namespace bif::attribution
