// A top k in two stages: it agrees with the full pass, keeps to its budget, and says what stays in
// doubt.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "src/base/status.h"
#include "tests/support/pathwise_fixture.h"

namespace bif::jobs {
namespace {

using attribution::Estimator;
using ::testing::HasSubstr;

class RefineTest : public PathwiseFixture {
 protected:
  AttributeRequest AskRefined(SampleSet queries, RefineSpec refine, uint32_t top_k = 5) const {
    AttributeRequest request = QueriesFixture::Ask(std::move(queries));
    request.refine = refine;
    request.top_k = top_k;
    return request;
  }
  static RefineSpec Passes(uint64_t passes, Estimator estimator = Estimator::kPathwise) {
    return {.estimator = estimator, .time = std::nullopt, .forward_passes = passes};
  }
  // The ids of the k smallest and largest numbers of one query: [end][id].
  static std::vector<std::set<std::string>> Ends(const std::vector<double>& scores, int64_t queries,
                                                 int64_t query, size_t k) {
    std::vector<std::pair<double, int64_t>> order;
    for (int64_t r = 0; r < kRows; ++r) order.emplace_back(scores[r * queries + query], r);
    std::sort(order.begin(), order.end());
    std::vector<std::set<std::string>> ends(2);
    for (size_t i = 0; i < k; ++i) {
      ends[0].insert("r" + std::to_string(order[i].second));
      ends[1].insert("r" + std::to_string(order[order.size() - 1 - i].second));
    }
    return ends;
  }
  static std::set<std::string> Ids(const std::vector<ScoredSample>& samples) {
    std::set<std::string> ids;
    for (const ScoredSample& sample : samples) ids.insert(sample.sample_id);
    return ids;
  }
  static uint64_t Undecided(const QueryRanking& ranking) {
    return ranking.refined->helpful_undecided + ranking.refined->harmful_undecided;
  }
};

TEST_F(RefineTest, TheTopKIsThatOfTheTruthAndTheStreamShowsDoubtShrinking) {
  Sample();
  const std::vector<double> truth = ClosedForm(FullBatch(), 2);
  const auto updates = Updates(AskRefined(Inline(2), Passes(30'000'000)));
  ASSERT_TRUE(updates.ok()) << updates.status();
  std::vector<const AttributeUpdate*> ranked;
  for (const AttributeUpdate& update : *updates) {
    if (!update.rankings.empty()) ranked.push_back(&update);
  }
  ASSERT_GT(ranked.size(), 2u);
  EXPECT_EQ(ranked[0]->rankings[0].refined->refined, 0u) << "the first stage";
  EXPECT_FALSE(ranked[0]->final);
  const AttributeUpdate& last = *ranked.back();
  EXPECT_TRUE(last.final);
  EXPECT_EQ(last.provenance.estimator, Estimator::kBif);
  EXPECT_GT(last.provenance.pathwise->draws, 8u);
  size_t in_common = 0;
  for (int64_t q = 0; q < 2; ++q) {
    const QueryRanking& before = ranked[0]->rankings[q];
    const QueryRanking& after = last.rankings[q];
    EXPECT_LT(Undecided(after), Undecided(before) / 2);
    EXPECT_GT(after.refined->refined, 5u);
    EXPECT_GT(after.refined->helpful_decided + after.refined->harmful_decided, 5u);
    const auto ends = Ends(truth, 2, q, 5);
    for (const std::string& id : Ids(after.helpful)) in_common += ends[0].contains(id);
    for (const std::string& id : Ids(after.harmful)) in_common += ends[1].contains(id);
    for (const ScoredSample& sample : after.helpful) EXPECT_TRUE(sample.refined);
  }
  EXPECT_GE(in_common, 18u) << "of 20";
}

TEST_F(RefineTest, ItAgreesWithTheFullPass) {
  Sample();
  const AttributeUpdate refined = Answer(AskRefined(Inline(1), Passes(30'000'000)));
  const Matrix full = Scores(AskAll(Inline(1), Estimator::kPathwise, 400));
  for (const auto* end : {&refined.rankings[0].helpful, &refined.rankings[0].harmful}) {
    for (const ScoredSample& sample : *end) {
      const size_t at =
          std::find(full.ids.begin(), full.ids.end(), sample.sample_id) - full.ids.begin();
      EXPECT_NEAR(sample.score, full.scores[at],
                  4 * (sample.standard_error + full.standard_errors[at]))
          << sample.sample_id;
    }
  }
}

TEST_F(RefineTest, ABudgetOfPassesIsKeptAndGivesTheSameAnswerAfterARestart) {
  Sample();
  for (const uint64_t passes : {200'000u, 1'000'000u}) {
    const AttributeRequest request = AskRefined(Inline(1), Passes(passes, Estimator::kMixed));
    const AttributeUpdate first = Answer(request);
    EXPECT_LE(first.provenance.pathwise->forward_passes, passes);
    EXPECT_GT(first.provenance.pathwise->forward_passes, passes / 4);
    EXPECT_GT(first.rankings[0].refined->refined, 0u);
    const int64_t steps = engine_.hooks().tangent_steps;
    const AttributeUpdate again = Answer(request);
    EXPECT_EQ(engine_.hooks().tangent_steps, steps) << "asking again is a look-up";
    EXPECT_EQ(again.provenance.pathwise->forward_passes, 0u);
    Restart();
    const AttributeUpdate later = Answer(request);
    for (const AttributeUpdate* other : {&again, &later}) {
      ASSERT_EQ(other->rankings[0].helpful.size(), first.rankings[0].helpful.size());
      for (size_t i = 0; i < first.rankings[0].helpful.size(); ++i) {
        EXPECT_EQ(other->rankings[0].helpful[i].sample_id, first.rankings[0].helpful[i].sample_id);
        EXPECT_EQ(other->rankings[0].helpful[i].score, first.rankings[0].helpful[i].score);
        EXPECT_EQ(other->rankings[0].helpful[i].standard_error,
                  first.rankings[0].helpful[i].standard_error);
      }
    }
  }
}

TEST_F(RefineTest, ALargerBudgetDecidesMore) {
  Sample();
  const AttributeUpdate small = Answer(AskRefined(Inline(1), Passes(200'000)));
  const AttributeUpdate large = Answer(AskRefined(Inline(1), Passes(20'000'000)));
  EXPECT_LT(Undecided(large.rankings[0]), Undecided(small.rankings[0]));
  EXPECT_LT(small.provenance.pathwise->draws, large.provenance.pathwise->draws);
}

TEST_F(RefineTest, ABudgetBelowOneDrawIsRefusedAndSaysWhatOneCosts) {
  Sample();
  const absl::Status status = ErrorOf(AskRefined(Inline(1), Passes(1000)));
  EXPECT_EQ(FieldPath(status), "refine.forward_passes");
  EXPECT_THAT(std::string(status.message()), HasSubstr("one draw costs"));
  EXPECT_EQ(engine_.hooks().tangent_steps, 0);
}

TEST_F(RefineTest, ABudgetOfSecondsEndsTheReplayAndAnswersWithWhatThereIs) {
  Sample();
  engine_.hooks().on_tangent_step = [this](int64_t) {
    clock_.Advance(absl::Milliseconds(1));
    return absl::OkStatus();
  };
  RefineSpec refine{.estimator = Estimator::kPathwise, .time = absl::Seconds(3)};
  const absl::Time start = clock_.Now();
  const AttributeUpdate answer = Answer(AskRefined(Inline(1), refine));
  EXPECT_GT(answer.rankings[0].refined->refined, 0u);
  EXPECT_LT(clock_.Now() - start, absl::Seconds(4));
  EXPECT_GT(clock_.Now() - start, absl::Seconds(2));
  EXPECT_GT(answer.budget_used, 0.5);

  refine.time = absl::Milliseconds(20);  // a burn-in takes 259 steps
  const absl::Status status = ErrorOf(AskRefined(Inline(1), refine));
  EXPECT_EQ(FieldPath(status), "refine.time");
  EXPECT_THAT(std::string(status.message()), HasSubstr("one draw costs"));
}

TEST_F(RefineTest, WhereNothingIsInDoubtTheDeviceIsNotAsked) {
  Sample();
  const AttributeUpdate answer = Answer(AskRefined(Inline(1), Passes(1'000'000), kRows));
  EXPECT_EQ(answer.rankings[0].refined->helpful_decided, static_cast<uint32_t>(kRows));
  EXPECT_EQ(Undecided(answer.rankings[0]), 0u);
  EXPECT_EQ(engine_.hooks().tangent_checks, 0);
}

TEST_F(RefineTest, AQueryWhoseTangentsDivergeKeepsItsFirstStageAndDoesNotEatTheBudget) {
  Sample();
  const double target = Target(1);
  engine_.hooks().tangent_diverges = [target](uint32_t, uint64_t, double of) {
    return std::abs(of - target) < 1e-6;
  };
  const AttributeUpdate answer = Answer(AskRefined(Inline(2), Passes(3'000'000)));
  EXPECT_GT(answer.rankings[0].refined->refined, 0u);
  EXPECT_EQ(answer.rankings[1].refined->refined, 0u);
  EXPECT_FALSE(answer.provenance.pathwise->left_out.empty());
  const AttributeUpdate alone = Answer(QueriesFixture::Ask(Inline(2)));
  EXPECT_EQ(answer.rankings[1].helpful[0].score, alone.rankings[1].helpful[0].score);
}

TEST_F(RefineTest, ACancelledRefinementStops) {
  Sample();
  const absl::Status status =
      StatusIfCancelledAfter(400, AskRefined(Inline(1), Passes(1'000'000'000)));
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST_F(RefineTest, WrongFieldsAreNamed) {
  Sample();
  const auto field = [&](auto change) {
    AttributeRequest request = AskRefined(Inline(1), Passes(1'000'000));
    change(request);
    const absl::Status status = ErrorOf(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return FieldPath(status).value_or("");
  };
  EXPECT_EQ(field([](auto& r) { r.refine->estimator = Estimator::kBif; }), "refine.estimator");
  EXPECT_EQ(field([](auto& r) { r.refine->forward_passes = 0; }), "refine");
  EXPECT_EQ(field([](auto& r) { r.refine->time = absl::ZeroDuration(); }), "refine.time");
  EXPECT_EQ(field([](auto& r) { r.refine->time = absl::InfiniteDuration(); }), "refine.time");
  EXPECT_EQ(field([](auto& r) { r.refine->forward_passes = ~uint64_t{0}; }),
            "refine.forward_passes");
  EXPECT_EQ(field([](auto& r) { r.estimator = Estimator::kCorrelation; }), "refine");
  EXPECT_EQ(field([](auto& r) { r.pathwise.draws = 9; }), "pathwise.draws");
  EXPECT_EQ(field([](auto& r) { r.top_k = kRows + 1; }), "top_k");
}

}  // namespace
}  // namespace bif::jobs
