// GroupInfluence on the fake engine: against the score matrix, and against the closed form of the
// linear model.
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "src/base/status.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

using attribution::Centring;

class GroupInfluenceTest : public QueriesFixture {
 protected:
  GroupInfluenceRequest Ask(std::vector<std::string> members, SampleSet queries) const {
    GroupInfluenceRequest request;
    request.posterior = posterior_;
    request.group.dataset = "datasets/train";
    request.group.sample_ids = std::move(members);
    request.queries = std::move(queries);
    return request;
  }
  GroupInfluenceAnswer Answer(const GroupInfluenceRequest& request) {
    const auto answer = jobs_->queries().GroupInfluence(request, CancelToken());
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(GroupInfluenceAnswer{});
  }
  absl::Status ErrorOf(const GroupInfluenceRequest& request) {
    return jobs_->queries().GroupInfluence(request, CancelToken()).status();
  }
};

TEST_F(GroupInfluenceTest, AGroupsScoreIsTheSumOfItsRowsOfTheScoreMatrix) {
  SampleIt();
  // Members of both blocks of slots, in no order.
  std::vector<std::string> members;
  for (int r = 299; r >= 0; r -= 7) members.push_back("r" + std::to_string(r));
  const std::set<std::string> chosen(members.begin(), members.end());
  for (const Centring centring :
       {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
    ScoreMatrixRequest all;
    all.posterior = posterior_;
    all.queries = Inline(3);
    all.centring = centring;
    const Matrix matrix = Scores(all);
    GroupInfluenceRequest request = Ask(members, Inline(3));
    request.centring = centring;
    const GroupInfluenceAnswer answer = Answer(request);
    ASSERT_EQ(answer.scores.size(), 3u);
    EXPECT_EQ(answer.members, members.size());
    EXPECT_EQ(answer.repeated_ids, 0u);
    for (size_t q = 0; q < 3; ++q) {
      double sum = 0, scale = 0;
      for (size_t i = 0; i < matrix.ids.size(); ++i) {
        if (!chosen.contains(matrix.ids[i])) continue;
        sum += matrix.scores[i * 3 + q];
        scale += std::abs(matrix.scores[i * 3 + q]);
      }
      EXPECT_NEAR(answer.scores[q].score.score, sum, 1e-5 * scale);
      EXPECT_EQ(answer.scores[q].query, q);
      EXPECT_EQ(answer.scores[q].score.helps, sum < 0);
      EXPECT_LE(std::abs(answer.scores[q].normalized.score), 1);
      EXPECT_EQ(answer.scores[q].normalized.score < 0, sum < 0);
    }
  }
}

TEST_F(GroupInfluenceTest, AGroupOfOneIsThatSample) {
  SampleIt();
  ScoreMatrixRequest one;
  one.posterior = posterior_;
  one.queries = Inline(2);
  one.candidates.dataset = "datasets/train";
  one.candidates.sample_ids = {"r17"};
  one.standard_errors = true;
  const Matrix bif = Scores(one);
  one.estimator = attribution::Estimator::kNormalizedBif;
  const Matrix normalized = Scores(one);
  const GroupInfluenceAnswer answer = Answer(Ask({"r17"}, Inline(2)));
  for (size_t q = 0; q < 2; ++q) {
    const GroupScore& score = answer.scores[q];
    EXPECT_NEAR(score.score.score, bif.scores[q], 1e-5 * std::abs(bif.scores[q]));
    EXPECT_NEAR(score.score.standard_error, bif.standard_errors[q], 1e-4 * bif.standard_errors[q]);
    EXPECT_NEAR(score.normalized.score, normalized.scores[q], 1e-5);
    EXPECT_NEAR(score.normalized.standard_error, normalized.standard_errors[q],
                1e-4 * normalized.standard_errors[q]);
  }
}

TEST_F(GroupInfluenceTest, AMemberThatIsNamedAgainCountsOnce) {
  SampleIt();
  const GroupInfluenceAnswer once = Answer(Ask({"r1", "r200"}, Inline(1)));
  const GroupInfluenceAnswer again = Answer(Ask({"r1", "r200", "r1", "r1"}, Inline(1)));
  EXPECT_EQ(again.members, 2u);
  EXPECT_EQ(again.repeated_ids, 2u);
  EXPECT_EQ(again.scores[0].score.score, once.scores[0].score.score);
}

TEST_F(GroupInfluenceTest, WhatIsNoTrainingSampleCannotBeTakenOut) {
  SampleIt();
  const std::string others = MakeDataset("others", 4, 5);
  TraceSamplesRequest trace;
  trace.posterior = posterior_;
  trace.dataset = others;
  ASSERT_TRUE(WaitFor(jobs_->queries().TraceSamples(trace)->name).error.ok());
  GroupInfluenceRequest request = Ask({"r0", "r2"}, Inline(1));
  EXPECT_TRUE(Answer(request).scores[0].removal.has_value());
  request.group.dataset = others;
  const GroupInfluenceAnswer answer = Answer(request);
  EXPECT_FALSE(answer.scores[0].removal.has_value());
  EXPECT_NE(answer.scores[0].score.score, 0);
}

TEST_F(GroupInfluenceTest, BadGroupsAreRefused) {
  SampleIt();
  EXPECT_EQ(FieldPath(ErrorOf(Ask({}, Inline(1)))), "group.sample_ids");
  EXPECT_TRUE(absl::IsNotFound(ErrorOf(Ask({"r1", "nobody"}, Inline(1)))));
  GroupInfluenceRequest request = Ask({}, Inline(1));
  request.group = Inline(1);
  EXPECT_EQ(FieldPath(ErrorOf(request)), "group.inline");
  request = Ask(std::vector<std::string>(kMaxGroupMembers + 1, "r1"), Inline(1));
  EXPECT_EQ(FieldPath(ErrorOf(request)), "group.sample_ids");
  request = Ask({"r1"}, Inline(kMaxQueries + 1));
  EXPECT_EQ(FieldPath(ErrorOf(request)), "queries.inline");
  request = Ask({"r1"}, {});
  EXPECT_TRUE(absl::IsInvalidArgument(ErrorOf(request)));
  request = Ask({"r1"}, Inline(1));
  request.group.dataset = MakeDataset("untraced", 3, 9);
  EXPECT_TRUE(absl::IsFailedPrecondition(ErrorOf(request)));
  CancelToken cancelled;
  cancelled.Cancel();
  EXPECT_TRUE(absl::IsCancelled(
      jobs_->queries().GroupInfluence(Ask({"r1"}, Inline(1)), cancelled).status()));
}

// Squared loss of a linear model with full batches: the posterior is N(mu, S) with
// S^-1 = P = (nbeta/n) A^T A + gamma I, of which steps of size eps make S = (P - eps/4 P P)^-1
// exactly, and Cov(l_i, l_j) = r_i r_j (a_i S a_j) + (a_i S a_j)^2 / 2.
class ClosedForm {
 public:
  static constexpr int kD = 4;
  using Vector = std::array<double, kD>;
  using Square = std::array<Vector, kD>;

  // Sample i has the weight `weights[i]`, which is nbeta/n unless it is taken out.
  ClosedForm(const std::vector<Vector>& features, const std::vector<double>& targets,
             const std::vector<double>& weights, double gamma, const Vector& anchor,
             double step_size)
      : features_(features), targets_(targets) {
    Square precision{};
    Vector right{};
    for (int a = 0; a < kD; ++a) {
      precision[a][a] = gamma;
      right[a] = gamma * anchor[a];
    }
    for (size_t i = 0; i < features.size(); ++i) {
      for (int a = 0; a < kD; ++a) {
        right[a] += weights[i] * features[i][a] * targets[i];
        for (int b = 0; b < kD; ++b)
          precision[a][b] += weights[i] * features[i][a] * features[i][b];
      }
    }
    const Square exact = Inverse(precision);
    Square discrete = precision;
    for (int a = 0; a < kD; ++a) {
      for (int b = 0; b < kD; ++b) {
        mean_[a] += exact[a][b] * right[b];
        for (int k = 0; k < kD; ++k)
          discrete[a][b] -= step_size / 4 * precision[a][k] * precision[k][b];
      }
    }
    covariance_ = Inverse(discrete);
  }
  double Overlap(const Vector& a, const Vector& b) const {
    double sum = 0;
    for (int i = 0; i < kD; ++i) {
      for (int j = 0; j < kD; ++j) sum += a[i] * covariance_[i][j] * b[j];
    }
    return sum;
  }
  double Residual(const Vector& a, double y) const {
    double residual = -y;
    for (int i = 0; i < kD; ++i) residual += a[i] * mean_[i];
    return residual;
  }
  double Covariance(size_t i, const Vector& a, double y) const {
    const double overlap = Overlap(features_[i], a);
    return Residual(features_[i], targets_[i]) * Residual(a, y) * overlap + overlap * overlap / 2;
  }
  double MeanLoss(const Vector& a, double y) const {
    return (Residual(a, y) * Residual(a, y) + Overlap(a, a)) / 2;
  }

 private:
  static Square Inverse(Square m) {
    Square inverse{};
    for (int i = 0; i < kD; ++i) inverse[i][i] = 1;
    for (int p = 0; p < kD; ++p) {  // positive definite: no pivoting
      const double pivot = m[p][p];
      for (int c = 0; c < kD; ++c) {
        m[p][c] /= pivot;
        inverse[p][c] /= pivot;
      }
      for (int r = 0; r < kD; ++r) {
        if (r == p) continue;
        const double factor = m[r][p];
        for (int c = 0; c < kD; ++c) {
          m[r][c] -= factor * m[p][c];
          inverse[r][c] -= factor * inverse[p][c];
        }
      }
    }
    return inverse;
  }

  std::vector<Vector> features_;
  std::vector<double> targets_;
  Square covariance_{};
  Vector mean_{};
};

TEST_F(GroupInfluenceTest, ScoreAndRemovalAgreeWithTheClosedForm) {
  constexpr int64_t kRows = 40;
  constexpr double kStepSize = 0.02;
  options_.posteriors.max_segment_draws = 64;
  Restart();
  PosteriorSpec spec;
  spec.checkpoint = MakeCheckpoint();
  spec.dataset = MakeDataset("train", kRows);
  spec.settings = SomeSettings();
  spec.settings.step_size = kStepSize;
  spec.settings.chains = 4;
  spec.settings.draws_per_chain = 500;
  spec.settings.burn_in_steps = 100;
  spec.settings.steps_between_draws = 8;
  spec.settings.batch_size = kRows;
  spec.settings.draw_codec = engine::DrawCodec::kFp32;
  const Operation operation = WaitFor(jobs_->posteriors().Create(spec)->name);
  ASSERT_TRUE(operation.error.ok()) << operation.error;
  posterior_ = operation.target;
  const std::vector<std::string> members = {"r2", "r5", "r6", "r30"};
  const GroupInfluenceAnswer answer = Answer(Ask(members, Inline(6)));

  const auto read = [](const SampleBatch& batch) {
    std::pair<std::vector<ClosedForm::Vector>, std::vector<double>> rows;
    for (int64_t r = 0; r < batch.rows; ++r) {
      float features[4], target;
      std::memcpy(features, batch.columns[0].data.data() + r * 16, 16);
      std::memcpy(&target, batch.columns[1].data.data() + r * 4, 4);
      rows.first.push_back({features[0], features[1], features[2], features[3]});
      rows.second.push_back(target);
    }
    return rows;
  };
  const auto [features, targets] = read(SomeRows(kRows));
  const auto [queries, query_targets] = read(SomeRows(6, 99));
  const double weight = spec.settings.nbeta / kRows;
  const ClosedForm::Vector anchor = {0.5, -0.25, 1.0, 0.0};
  std::vector<double> weights(kRows, weight);
  const ClosedForm whole(features, targets, weights, spec.settings.gamma, anchor, kStepSize);
  for (const int r : {2, 5, 6, 30}) weights[r] = 0;
  const ClosedForm without(features, targets, weights, spec.settings.gamma, anchor, kStepSize);
  double leverage = 0;
  for (const int r : {2, 5, 6, 30}) leverage += weight * without.Overlap(features[r], features[r]);
  ASSERT_LT(leverage, 0.5);

  int distinguishable = 0;
  for (size_t q = 0; q < queries.size(); ++q) {
    double truth = 0;
    for (const int r : {2, 5, 6, 30}) truth -= whole.Covariance(r, queries[q], query_targets[q]);
    const GroupScore& score = answer.scores[q];
    EXPECT_LT(std::abs(score.score.score - truth), 4 * score.score.standard_error)
        << score.score.score << " against " << truth;
    distinguishable += score.score.distinguishable ? 1 : 0;

    // Taking the four out really: first order is off by the leverage of what is taken out.
    const double change = without.MeanLoss(queries[q], query_targets[q]) -
                          whole.MeanLoss(queries[q], query_targets[q]);
    ASSERT_TRUE(score.removal.has_value());
    EXPECT_NEAR(score.removal->change, -weight * score.score.score,
                1e-6 * std::abs(score.removal->change));
    EXPECT_LT(std::abs(score.removal->change - change),
              4 * score.removal->standard_error + leverage * std::abs(change))
        << score.removal->change << " against " << change;
    EXPECT_LT(score.removal->low, score.removal->change);
    EXPECT_GT(score.removal->high, score.removal->change);
  }
  EXPECT_GE(distinguishable, 3) << "the draws tell nothing, so the test would hold for any score";
}

}  // namespace
}  // namespace bif::jobs
