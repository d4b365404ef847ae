// The influences that devinterp computes from the losses of one of its runs
// (tests/golden/devinterp_runs.json): both of its ways to reduce chains, of tokens and of whole
// sequences.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "src/attribution/estimator.h"
#include "src/attribution/token_matrix.h"

namespace bif::attribution {
namespace {

using nlohmann::json;
using Matrix = std::vector<std::vector<double>>;

struct Case {
  std::string name;  // in the file: "stack_correlation"
  Estimator estimator;
  Centring centring;
};

class DevinterpInfluences : public ::testing::TestWithParam<Case> {
 protected:
  // observed[chain][draw][sequence][token]
  using Observed = std::vector<std::vector<Matrix>>;

  TraceLayout Layout() const {
    return MakeLayout(static_cast<int64_t>(observed_.size()),
                      static_cast<int64_t>(observed_[0].size()), 1);
  }
  size_t sequences() const { return observed_[0][0].size(); }
  size_t tokens() const { return observed_[0][0][0].size(); }

  // Chain after chain; `value` makes one number of a sequence's losses.
  template <typename Value>
  std::vector<float> Trace(size_t sequence, const Value& value) const {
    std::vector<float> trace;
    for (const auto& chain : observed_) {
      for (const auto& draw : chain) trace.push_back(static_cast<float>(value(draw[sequence])));
    }
    return trace;
  }
  std::vector<float> SequenceTraces() const {
    std::vector<float> traces;
    for (size_t s = 0; s < sequences(); ++s) {
      const auto trace = Trace(s, [](const std::vector<double>& losses) {
        return std::accumulate(losses.begin(), losses.end(), 0.0) /
               static_cast<double>(losses.size());
      });
      traces.insert(traces.end(), trace.begin(), trace.end());
    }
    return traces;
  }
  std::vector<float> TokenTraces(size_t sequence) const {
    std::vector<float> traces;
    for (size_t t = 0; t < tokens(); ++t) {
      const auto trace =
          Trace(sequence, [t](const std::vector<double>& losses) { return losses[t]; });
      traces.insert(traces.end(), trace.begin(), trace.end());
    }
    return traces;
  }
  void ExpectInfluences(const std::string& method, const std::vector<ScoreValue>& scores) const {
    const Matrix wanted = run_["influences"][method + "_" + GetParam().name].get<Matrix>();
    double scale = 0;
    for (const auto& row : wanted) {
      for (const double value : row) scale = std::max(scale, std::abs(value));
    }
    size_t i = 0;
    for (const auto& row : wanted) {
      for (const double value : row) {
        ASSERT_LT(i, scores.size());
        EXPECT_NEAR(scores[i++].score, value, 1e-5 * scale) << method << " " << i;
      }
    }
    EXPECT_EQ(i, scores.size());
  }

  const json run_ = json::parse(std::ifstream(BIF_GOLDEN "/devinterp_runs.json"))["runs"]["sgld"];
  const Observed observed_ = run_["observed"].get<Observed>();
};

TEST_P(DevinterpInfluences, OfSequencesAreOurs) {
  const std::vector<float> traces = SequenceTraces();
  const auto scorer = Scorer::Create(Layout(), GetParam().estimator, GetParam().centring, traces);
  ASSERT_TRUE(scorer.ok()) << scorer.status();
  std::vector<ScoreValue> scores(sequences() * sequences());
  scorer->Score(traces, absl::MakeSpan(scores));
  ExpectInfluences("sequence", scores);
}

TEST_P(DevinterpInfluences, OfTokensAreOurs) {
  const auto matrix = TokenMatrix::Create(Layout(), GetParam().estimator, GetParam().centring,
                                          TokenTraces(0), TokenTraces(1));
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  std::vector<ScoreValue> scores(tokens() * tokens()), completions(tokens());
  matrix->Score(0, matrix->rows(), absl::MakeSpan(scores), absl::MakeSpan(completions));
  ExpectInfluences("token", scores);
}

INSTANTIATE_TEST_SUITE_P(
    GoldenRuns, DevinterpInfluences,
    ::testing::Values(Case{"stack_correlation", Estimator::kCorrelation, Centring::kPooled},
                      Case{"stack_covariance", Estimator::kCovariance, Centring::kPooled},
                      Case{"mean_correlation", Estimator::kCorrelation, Centring::kChainMean},
                      Case{"mean_covariance", Estimator::kCovariance, Centring::kChainMean}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace bif::attribution
