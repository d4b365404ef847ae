// The estimators on a linear model with squared loss, of which the scores are known (n = 300, d =
// 40; docs/attribution.md, "A case with a known answer"). SGLD is simulated, on all samples a step,
// with the tangents of the queries. Prints `name value unit`:
//   pathwise_draws_saved_gaussian  draws that covariance needs over draws that pathwise needs for
//   the
//                                  same relative error (Frobenius, over all pairs)
//   coverage_pathwise_pct, coverage_covariance_pct, coverage_mixed_pct
//                                  of the 95 % intervals over seeds and pairs
// With --points it prints instead `error ESTIMATOR DRAWS RELATIVE_ERROR COST` for
// docs/images/make_estimator_plots.py, COST in passes over the training set, and `coverage
// ESTIMATOR DRAWS PERCENT 0`. Draws are those of all chains.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "src/attribution/convergence.h"
#include "src/attribution/estimator.h"
#include "src/attribution/mixing.h"
#include "src/attribution/pathwise.h"
#include "src/attribution/test_linear_model.h"

namespace bif::attribution {
namespace {

constexpr int kRows = 300;
constexpr int kParameters = 40;
constexpr int kQueries = 8;
constexpr double kNbeta = 300;
constexpr double kGamma = 100;
constexpr double kStepSize = 1e-4;
constexpr int64_t kStepsBetweenDraws = 50;
constexpr int kChains = 4;

const LinearModel& Model() {
  static const LinearModel model(kRows, kQueries, kParameters, kNbeta, kGamma, 1);
  return model;
}

int64_t BurnIn() { return RelaxationOf(kStepSize, kGamma, 0)->burn_in_steps; }

// Of each pair, row by row: [rows * queries][chains * draws].
struct Sample {
  std::vector<float> losses;        // [rows][chains * draws]
  std::vector<float> query_losses;  // [queries][chains * draws]
  std::vector<float> slopes;        // [rows * queries][chains * draws]
};

Sample Draw(int64_t draws, bool pathwise, uint64_t seed) {
  const int64_t values = kChains * draws;
  Sample sample;
  sample.losses.resize(pathwise ? 0 : kRows * values);
  sample.query_losses.resize(pathwise ? 0 : kQueries * values);
  sample.slopes.resize(pathwise ? kRows * kQueries * values : 0);
  for (int c = 0; c < kChains; ++c) {
    LinearChain chain(Model(), kStepSize, pathwise ? kQueries : 0, kChains * seed + c);
    chain.Advance(BurnIn());
    for (int64_t t = c * draws; t < (c + 1) * draws; ++t) {
      chain.Advance(kStepsBetweenDraws);
      for (int i = 0; i < kRows; ++i) {
        if (!pathwise) sample.losses[i * values + t] = static_cast<float>(chain.Loss(i));
        for (int q = 0; pathwise && q < kQueries; ++q)
          sample.slopes[(i * kQueries + q) * values + t] = static_cast<float>(chain.Slope(i, q));
      }
      for (int q = 0; !pathwise && q < kQueries; ++q)
        sample.query_losses[q * values + t] = static_cast<float>(chain.Loss(kRows + q));
    }
  }
  return sample;
}

struct Scores {
  std::vector<ScoreValue> values;  // [rows * queries]
  double degrees = 0;
  double t_quantile = 0;
};

Scores Pathwise(int64_t draws, uint64_t seed) {
  const Sample sample = Draw(draws, true, seed);
  const StretchLayout layout{std::vector<int64_t>(kChains, draws)};
  const auto few = absl::MakeSpan(sample.slopes).first(64 * kChains * draws);
  const auto scorer = PathwiseScorer::Create(
      *MakeSlopeBlocks(layout, SlopeAutocorrelationTime(layout, few)), Estimator::kBif);
  Scores scores{std::vector<ScoreValue>(kRows * kQueries), scorer->degrees(), scorer->t_quantile()};
  scorer->Score(sample.slopes, absl::MakeSpan(scores.values));
  return scores;
}

Scores Covariance(int64_t draws, uint64_t seed) {
  const Sample sample = Draw(draws, false, seed);
  std::vector<float> mean(kChains * draws);
  for (size_t k = 0; k < sample.losses.size(); ++k)
    mean[k % mean.size()] += sample.losses[k] / kRows;
  const TraceLayout layout = MakeLayout(kChains, draws, AutocorrelationTime(kChains, draws, mean));
  const auto scorer =
      Scorer::Create(layout, Estimator::kBif, Centring::kPooled, sample.query_losses);
  Scores scores{std::vector<ScoreValue>(kRows * kQueries),
                static_cast<double>(scorer->blocks() - 1), scorer->t_quantile()};
  scorer->Score(sample.losses, absl::MakeSpan(scores.values));
  return scores;
}

// The truth of each pair.
const std::vector<double>& Truth() {
  static const std::vector<double> truth = [] {
    std::vector<double> bif;
    for (int i = 0; i < kRows; ++i) {
      for (int q = 0; q < kQueries; ++q) bif.push_back(Model().Bif(i, kRows + q));
    }
    return bif;
  }();
  return truth;
}

double SquaredError(const Scores& scores) {
  double error = 0;
  double scale = 0;
  for (size_t k = 0; k < Truth().size(); ++k) {
    const double distance = static_cast<double>(scores.values[k].score) - Truth()[k];
    error += distance * distance;
    scale += Truth()[k] * Truth()[k];
  }
  return error / scale;
}

// Root mean square over seeds.
template <typename Estimate>
double RelativeError(Estimate estimate, int64_t draws, int seeds) {
  double sum = 0;
  for (int seed = 0; seed < seeds; ++seed) sum += SquaredError(estimate(draws, 1000 + seed));
  return std::sqrt(sum / seeds);
}

struct Coverage {
  int64_t covered = 0;
  int64_t intervals = 0;
  void Add(const ScoreValue& value, double t, double truth) {
    covered += std::abs(static_cast<double>(value.score) - truth) <=
                       t * static_cast<double>(value.standard_error)
                   ? 1
                   : 0;
    ++intervals;
  }
  double Percent() const {
    return 100 * static_cast<double>(covered) / static_cast<double>(intervals);
  }
};

struct Coverages {
  Coverage pathwise, covariance, mixed;
};

// Draws are those of a chain; without draws for covariance, of the pathwise estimate alone.
Coverages MeasureCoverage(int64_t pathwise_draws, int64_t covariance_draws, int seeds) {
  Coverages coverages;
  auto& [pathwise, covariance, mixed] = coverages;
  for (int seed = 0; seed < seeds; ++seed) {
    const Scores p = Pathwise(pathwise_draws, 2 * seed);
    for (size_t k = 0; k < Truth().size(); ++k) pathwise.Add(p.values[k], p.t_quantile, Truth()[k]);
    if (covariance_draws == 0) continue;
    const Scores c = Covariance(covariance_draws, 2 * seed + 1);
    for (int q = 0; q < kQueries; ++q) {
      std::vector<ScoreValue> p_of, c_of;
      for (int i = 0; i < kRows; ++i) {
        p_of.push_back(p.values[i * kQueries + q]);
        c_of.push_back(c.values[i * kQueries + q]);
      }
      const Mixer mixer(p_of, p.degrees, c_of, c.degrees);
      for (int i = 0; i < kRows; ++i) {
        const double truth = Truth()[i * kQueries + q];
        const MixedScore mix = mixer.Mix(p_of[i], c_of[i]);
        covariance.Add(c_of[i], c.t_quantile, truth);
        mixed.Add(mix.value, mix.t_quantile, truth);
      }
    }
  }
  return coverages;
}

// What an estimate costs for one query, in passes over the training set, counted as in
// docs/estimators.md: a step 3, a product with the Hessian 6, a traced draw 1, slopes 3.
double Cost(bool pathwise, int64_t draws) {
  const auto steps = static_cast<double>(BurnIn() + draws * kStepsBetweenDraws);
  const double step = pathwise ? 3 + 6 : 3;
  return kChains * (steps * step + static_cast<double>(draws) * (pathwise ? 3 : 1));
}

void PrintPoints() {
  for (const int64_t draws : {2, 5, 10, 20, 40, 80}) {
    std::printf("error pathwise %ld %.4f %.0f\n", static_cast<long>(kChains * draws),
                RelativeError(Pathwise, draws, 8), Cost(true, draws));
  }
  for (const int64_t draws : {5, 20, 50, 125, 500, 2000, 4000}) {
    std::printf("error covariance %ld %.4f %.0f\n", static_cast<long>(kChains * draws),
                RelativeError(Covariance, draws, 8), Cost(false, draws));
  }
  for (const int64_t draws : {5, 10, 20, 40, 80}) {
    const Coverage pathwise = MeasureCoverage(draws, 0, 60).pathwise;
    std::printf("coverage pathwise %ld %.2f 0\n", static_cast<long>(kChains * draws),
                pathwise.Percent());
  }
  for (const int64_t draws : {10, 25, 50, 125, 500}) {
    const Coverages with = MeasureCoverage(10, draws, 60);
    std::printf("coverage covariance %ld %.2f 0\n", static_cast<long>(kChains * draws),
                with.covariance.Percent());
    std::printf("coverage mixed %ld %.2f 0\n", static_cast<long>(kChains * draws),
                with.mixed.Percent());
  }
}

// How many times the draws covariance needs: doubled until it is as good, and then between the last
// two counts, where log error is linear in log draws.
double DrawsSaved() {
  constexpr int64_t kPathwiseDraws = 10;
  constexpr int kSeeds = 16;
  const double aim = RelativeError(Pathwise, kPathwiseDraws, kSeeds);
  int64_t draws = 125;
  double before = RelativeError(Covariance, draws, kSeeds);
  double error = before;
  while (error > aim && draws < 100000) {
    before = error;
    draws *= 2;
    error = RelativeError(Covariance, draws, kSeeds);
  }
  const double part = std::log(before / aim) / std::log(before / error);
  const double needed = 0.5 * static_cast<double>(draws) * std::pow(2, part);
  std::fprintf(stderr, "relative error %.3f: %ld draws against %.0f\n", aim,
               static_cast<long>(kChains * kPathwiseDraws), kChains * needed);
  return needed / static_cast<double>(kPathwiseDraws);
}

void PrintFigures() {
  std::printf("pathwise_draws_saved_gaussian %.1f x\n", DrawsSaved());
  const Coverages coverages = MeasureCoverage(20, 500, 120);
  std::printf("coverage_pathwise_pct %.2f %%\n", coverages.pathwise.Percent());
  std::printf("coverage_covariance_pct %.2f %%\n", coverages.covariance.Percent());
  std::printf("coverage_mixed_pct %.2f %%\n", coverages.mixed.Percent());
}

}  // namespace
}  // namespace bif::attribution

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--points") == 0) {
    bif::attribution::PrintPoints();
  } else {
    bif::attribution::PrintFigures();
  }
  return 0;
}
