// Scores from slopes: that they are right, repeatable, and say what they lack.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/pathwise_fixture.h"

namespace bif::jobs {
namespace {

using attribution::Estimator;
using ::testing::HasSubstr;

class PathwiseTest : public PathwiseFixture {};

TEST_F(PathwiseTest, ScoresAreThoseOfTheClosedFormWithinTheirErrorBars) {
  Sample();
  const std::vector<double> truth = ClosedForm(FullBatch(), 3);
  const Matrix pathwise = Scores(AskAll(Inline(3), Estimator::kPathwise, 400));
  ASSERT_EQ(pathwise.scores.size(), truth.size());
  EXPECT_LT(RelativeError(pathwise.scores, truth), 0.1);
  int covered = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    // 20 blocks or so: t is 2.1.
    covered += std::abs(pathwise.scores[i] - truth[i]) < 2.1 * pathwise.standard_errors[i];
  }
  EXPECT_GT(covered, 0.85 * static_cast<double>(truth.size()));

  const Provenance& provenance = pathwise.provenance;
  EXPECT_EQ(provenance.estimator, Estimator::kPathwise);
  ASSERT_TRUE(provenance.pathwise.has_value());
  EXPECT_EQ(provenance.pathwise->draws, 400u);
  EXPECT_GE(provenance.pathwise->stretches, 4u);
  EXPECT_GE(provenance.pathwise->tangent_burn_in_steps, 259u);  // log(50) / -log(1 - 0.015)
  EXPECT_LE(provenance.pathwise->bias_bound, 0.02);
  EXPECT_EQ(provenance.pathwise->steps_between_slopes % 10, 0u);
  EXPECT_FALSE(provenance.pathwise->preconditioner_held_fixed);
  EXPECT_TRUE(provenance.pathwise->left_out.empty());
  EXPECT_EQ(provenance.pathwise->states_missing, 0u);
  EXPECT_GT(provenance.pathwise->forward_passes, 0u);
  EXPECT_EQ(provenance.jackknife_blocks, provenance.pathwise->jackknife_blocks);
}

TEST_F(PathwiseTest, WeakPairsAreBetterKnownThanFromTraces) {
  Sample();
  const std::vector<double> truth = ClosedForm(FullBatch(), 3);
  const Matrix pathwise = Scores(AskAll(Inline(3), Estimator::kPathwise, 240));
  const Matrix traces = Scores(AskAll(Inline(3), Estimator::kBif));
  EXPECT_LT(3 * RelativeError(pathwise.scores, truth), RelativeError(traces.scores, truth));
}

TEST_F(PathwiseTest, ARankingHoldsTheScoresOfTheMatrixAndComesWithProgress) {
  Sample();
  const Matrix matrix = Scores(AskAll(Inline(2), Estimator::kPathwise, 80));
  AttributeRequest request = Ask(Inline(2), Estimator::kPathwise, 80);
  request.top_k = kRows;
  Restart();  // so that nothing is known
  const auto updates = Updates(request);
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_GT(updates->size(), 1u);
  uint32_t before = 0;
  for (const AttributeUpdate& update : *updates) {
    EXPECT_GE(update.slope_draws_done, before);
    before = update.slope_draws_done;
    EXPECT_EQ(update.slope_draws_total, 80u);
  }
  const AttributeUpdate& last = updates->back();
  EXPECT_TRUE(last.final);
  ASSERT_EQ(last.rankings.size(), 2u);
  for (size_t q = 0; q < 2; ++q) {
    ASSERT_EQ(last.rankings[q].helpful.size(), static_cast<size_t>(kRows));
    for (const ScoredSample& sample : last.rankings[q].helpful) {
      const auto at = std::find(matrix.ids.begin(), matrix.ids.end(), sample.sample_id);
      const size_t i = static_cast<size_t>(at - matrix.ids.begin()) * 2 + q;
      EXPECT_EQ(sample.score, matrix.scores[i]);
      EXPECT_EQ(sample.standard_error, matrix.standard_errors[i]);
      EXPECT_EQ(sample.helps, sample.score < 0);
      EXPECT_FALSE(sample.refined);
    }
  }
  EXPECT_EQ(last.provenance.pathwise->draws, 80u);
}

TEST_F(PathwiseTest, AskingAgainReplaysNothingAndARestartChangesNoBit) {
  Sample();
  const ScoreMatrixRequest request = AskAll(Inline(2), Estimator::kPathwise);
  const Matrix first = Scores(request);
  EXPECT_EQ(first.provenance.pathwise->draws, kDefaultSlopeDraws);
  const int64_t steps = engine_.hooks().tangent_steps;
  const Matrix again = Scores(request);
  EXPECT_EQ(engine_.hooks().tangent_steps, steps);
  EXPECT_EQ(again.scores, first.scores);
  EXPECT_EQ(again.provenance.pathwise->forward_passes, 0u);
  const Matrix mixed = Scores(AskAll(Inline(2), Estimator::kMixed));
  EXPECT_EQ(engine_.hooks().tangent_steps, steps) << "the same slopes serve it";
  Restart();
  const Matrix later = Scores(request);
  EXPECT_EQ(later.scores, first.scores);
  EXPECT_EQ(later.standard_errors, first.standard_errors);
  EXPECT_EQ(later.provenance.pathwise->forward_passes, first.provenance.pathwise->forward_passes);
  EXPECT_EQ(engine_.hooks().tangent_steps, 2 * steps);
}

TEST_F(PathwiseTest, MixedIsMoreCertainThanEitherAndSaysHowWellTheyAgree) {
  constexpr int kQueries = 16;
  engine::SamplerSettings settings = FullBatch();
  settings.steps_between_draws = 100;  // so that the traces' error bars hold
  settings.burn_in_steps = 500;
  settings.draws_per_chain = 100;
  Sample(settings);
  const std::vector<double> truth = ClosedForm(settings, kQueries);
  const Matrix pathwise = Scores(AskAll(Inline(kQueries), Estimator::kPathwise, 40));
  const Matrix traces = Scores(AskAll(Inline(kQueries), Estimator::kBif));
  const Matrix mixed = Scores(AskAll(Inline(kQueries), Estimator::kMixed, 40));
  double of_mixed = 0, of_pathwise = 0, of_traces = 0;
  int covered = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    of_mixed += mixed.standard_errors[i];
    of_pathwise += pathwise.standard_errors[i];
    of_traces += traces.standard_errors[i];
    covered += std::abs(mixed.scores[i] - truth[i]) < 2.1 * mixed.standard_errors[i];
  }
  EXPECT_LT(of_mixed, 1.05 * of_pathwise);  // Meier's correction may cost a little
  EXPECT_LT(of_mixed, of_traces);
  EXPECT_GT(covered, 0.9 * static_cast<double>(truth.size()));
  const PathwiseProvenance& rests_on = *mixed.provenance.pathwise;
  ASSERT_EQ(rests_on.pathwise_weight.size(), size_t{kQueries});
  ASSERT_EQ(rests_on.share_that_disagree.size(), size_t{kQueries});
  double disagree = 0;
  for (size_t q = 0; q < kQueries; ++q) {
    EXPECT_GT(rests_on.pathwise_weight[q], 0.5);
    EXPECT_LT(rests_on.pathwise_weight[q], 1);
    disagree += rests_on.share_that_disagree[q] / kQueries;
  }
  EXPECT_LT(disagree, 0.15);
  EXPECT_NE(mixed.provenance.jackknife_blocks, 0u) << "those of traces";
}

TEST_F(PathwiseTest, SomeCandidatesGetTheScoresThatTheyGetAmongAll) {
  Sample();
  const Matrix all = Scores(AskAll(Inline(1), Estimator::kPathwise, 40));
  ScoreMatrixRequest request = AskAll(Inline(1), Estimator::kPathwise, 40);
  request.candidates.dataset = "datasets/train";
  request.candidates.sample_ids = {"r31", "r2", "r17"};
  const Matrix some = Scores(request);
  ASSERT_EQ(some.ids, (std::vector<std::string>{"r2", "r17", "r31"}));
  // Slopes may be taken elsewhere for fewer rows: they agree as two estimates do.
  for (size_t i = 0; i < 3; ++i) {
    const size_t at = std::find(all.ids.begin(), all.ids.end(), some.ids[i]) - all.ids.begin();
    EXPECT_NEAR(some.scores[i], all.scores[at],
                4 * (some.standard_errors[i] + all.standard_errors[at]));
  }
}

TEST_F(PathwiseTest, StoredQueriesKeepTheirOrder) {
  Sample();
  SampleSet stored;
  stored.dataset = "datasets/train";
  stored.sample_ids = {"r9", "r4"};
  const Matrix both = Scores(AskAll(stored, Estimator::kPathwise, 40));
  stored.sample_ids = {"r9"};
  const Matrix nine = Scores(AskAll(stored, Estimator::kPathwise, 40));
  double off = 0, other = 0;
  for (size_t i = 0; i < nine.scores.size(); ++i) {
    off += std::abs(nine.scores[i] - both.scores[2 * i]);
    other += std::abs(nine.scores[i] - both.scores[2 * i + 1]);
  }
  EXPECT_LT(off, 0.3 * other);
}

TEST_F(PathwiseTest, ATangentThatDivergesIsLeftOutAndItsCompanionsDoNotNotice) {
  Sample();
  const Matrix alone = Scores(AskAll(Inline(2), Estimator::kPathwise, 40));
  Restart();
  const double target = Target(1);
  engine_.hooks().tangent_diverges = [target](uint32_t chain, uint64_t step, double of) {
    return chain == 2 && step % 300 == 299 && std::abs(of - target) < 1e-6;
  };
  const Matrix found = Scores(AskAll(Inline(2), Estimator::kPathwise, 40));
  const PathwiseProvenance& rests_on = *found.provenance.pathwise;
  ASSERT_EQ(rests_on.left_out.size(), 1u);
  EXPECT_EQ(rests_on.left_out[0].chain, 2u);
  EXPECT_EQ(rests_on.left_out[0].query, 1u);
  EXPECT_THAT(rests_on.left_out[0].reason, HasSubstr("grew without bound"));
  int changed = 0;
  for (size_t i = 0; i < alone.scores.size(); i += 2) {
    EXPECT_EQ(found.scores[i], alone.scores[i]);
    changed += found.scores[i + 1] != alone.scores[i + 1];
  }
  EXPECT_GT(changed, 30) << "a quarter of its draws is gone";
}

TEST_F(PathwiseTest, AQueryWithoutAnyStretchIsNamedAndTracesStayWhereTheyAreMixedIn) {
  Sample();
  const double target = Target(1);
  engine_.hooks().tangent_diverges = [target](uint32_t, uint64_t, double of) {
    return std::abs(of - target) < 1e-6;
  };
  const absl::Status status = ErrorOf(Ask(Inline(2), Estimator::kPathwise));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("queries.inline[1]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("grew without bound"));
  const Matrix mixed = Scores(AskAll(Inline(2), Estimator::kMixed));
  const Matrix traces = Scores(AskAll(Inline(2), Estimator::kBif));
  EXPECT_EQ(mixed.scores[1], traces.scores[1]);
  EXPECT_EQ(mixed.standard_errors[1], traces.standard_errors[1]);
  EXPECT_NE(mixed.scores[0], traces.scores[0]);
  EXPECT_EQ(mixed.provenance.pathwise->left_out.size(), 4u);
}

TEST_F(PathwiseTest, AChainThatDivergesInItsReplayIsLeftOutForAll) {
  Sample();
  engine_.hooks().loss_is_nan = [](uint32_t chain, uint64_t) { return chain == 1; };
  const Matrix found = Scores(AskAll(Inline(2), Estimator::kPathwise, 40));
  const PathwiseProvenance& rests_on = *found.provenance.pathwise;
  ASSERT_EQ(rests_on.left_out.size(), 1u);
  EXPECT_EQ(rests_on.left_out[0].chain, 1u);
  EXPECT_FALSE(rests_on.left_out[0].query.has_value());
  EXPECT_THAT(rests_on.left_out[0].reason, HasSubstr("not finite"));
  EXPECT_EQ(rests_on.stretches, 3u);
}

TEST_F(PathwiseTest, StatesThatAreGoneAreReplacedByOthersAndTheAnswerSaysSo) {
  engine::SamplerSettings settings = FullBatch();
  settings.draws_per_chain = 200;
  Sample(settings);
  const std::vector<double> truth = ClosedForm(settings, 2);
  const auto posterior = *store_->catalog().Get<storage::pb::PosteriorRecord>(
      storage::PosteriorKey(jobs_->posteriors().Get(posterior_)->key));
  const auto drop = [&](int keep_every) {  // the second of so many is kept
    for (const auto& chain : posterior.chains()) {
      for (int s = 0; s < chain.states_size(); ++s) {
        if (keep_every > 0 && s % keep_every == 1) continue;
        (void)store_->draws().DeleteFile(posterior.number(), chain.states(s).name());
      }
    }
  };
  drop(3);
  const Matrix some = Scores(AskAll(Inline(2), Estimator::kPathwise, 160));
  EXPECT_GT(some.provenance.pathwise->states_missing, 0u);
  EXPECT_EQ(some.provenance.pathwise->stretches_from_the_checkpoint, 0u);
  EXPECT_LT(RelativeError(some.scores, truth), 0.2);
  drop(0);
  Restart();
  const Matrix none = Scores(AskAll(Inline(2), Estimator::kPathwise, 160));
  EXPECT_EQ(none.provenance.pathwise->stretches_from_the_checkpoint, 4u);
  EXPECT_EQ(none.provenance.pathwise->stretches, 4u);
  EXPECT_LT(RelativeError(none.scores, truth), 0.2);
}

TEST_F(PathwiseTest, WithoutLocalisationThereIsNoBoundOnBurnInAndNoEstimate) {
  engine::SamplerSettings settings = FullBatch();
  settings.gamma = 0;
  Sample(settings);
  const absl::Status status = ErrorOf(Ask(Inline(1), Estimator::kPathwise));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gamma above 0"));
  EXPECT_EQ(engine_.hooks().tangent_checks, 0);
}

TEST_F(PathwiseTest, AProgramWithoutSecondDerivativesIsTriedOnceAndSaysSo) {
  Sample();
  engine_.hooks().on_check_tangents = [] {
    return absl::UnimplementedError("aten::fancy has no second derivative; use BIF");
  };
  for (const Estimator estimator : {Estimator::kPathwise, Estimator::kMixed}) {
    const absl::Status status = ErrorOf(Ask(Inline(1), estimator));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(status.message()), HasSubstr("aten::fancy"));
  }
  EXPECT_EQ(engine_.hooks().tangent_checks, 1);
}

TEST_F(PathwiseTest, TheAnswerSaysHowDerivativesWereTakenAndWhatIsHeldFixed) {
  engine::SamplerSettings settings = FullBatch();
  settings.algorithm = engine::Algorithm::kRmspropSgld;
  settings.step_size = 2e-4;
  Sample(settings);
  engine_.hooks().tangent_plan.hessian = engine::DerivativeMethod::kDifferences;
  engine_.hooks().tangent_plan.reason = "aten::fancy has no second derivative";
  const AttributeUpdate answer = Answer(Ask(Inline(1), Estimator::kPathwise, 20));
  ASSERT_TRUE(answer.provenance.pathwise.has_value());
  const PathwiseProvenance& rests_on = *answer.provenance.pathwise;
  EXPECT_TRUE(rests_on.preconditioner_held_fixed);
  EXPECT_EQ(rests_on.derivatives.hessian, engine::DerivativeMethod::kDifferences);
  EXPECT_EQ(rests_on.derivatives.slopes, engine::DerivativeMethod::kExact);
  EXPECT_EQ(rests_on.derivatives.reason, "aten::fancy has no second derivative");
}

TEST_F(PathwiseTest, AQueryWithoutAGradientScoresZero) {
  Sample();
  SampleSet queries = Inline(2);
  for (std::byte& byte : queries.inline_samples[0].tensors[0].data) byte = std::byte{0};
  const Matrix scores = Scores(AskAll(queries, Estimator::kPathwise, 20));
  EXPECT_EQ(scores.scores[0], 0);
  EXPECT_EQ(scores.standard_errors[0], 0);
  EXPECT_NE(scores.scores[1], 0);
  const AttributeUpdate answer = Answer(Ask(queries, Estimator::kPathwise, 20));
  EXPECT_TRUE(answer.rankings[0].helpful[0].constant);
}

TEST_F(PathwiseTest, ACancelledQuestionStopsItsReplayAndLeavesTheDeviceFree) {
  Sample();
  const absl::Status status =
      StatusIfCancelledAfter(300, Ask(Inline(1), Estimator::kPathwise, 50'000));
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  engine_.hooks().on_tangent_step = nullptr;
  EXPECT_TRUE(Answer(Ask(Inline(1), Estimator::kPathwise, 8)).final);
  EXPECT_LT(engine_.hooks().tangent_steps, 50'000);
}

TEST_F(PathwiseTest, CallersAtOnceGetTheAnswersThatTheyGetAlone) {
  Sample();
  std::vector<Matrix> alone(3), together(3);
  const auto ask = [&](size_t i) {
    return Scores(AskAll(Inline(2, static_cast<uint32_t>(90 + i)), Estimator::kPathwise, 40));
  };
  for (size_t i = 0; i < alone.size(); ++i) alone[i] = ask(i);
  Restart();
  std::vector<std::thread> callers;
  for (size_t i = 0; i < together.size(); ++i)
    callers.emplace_back([&, i] { together[i] = ask(i); });
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(together[i].scores, alone[i].scores);
}

TEST_F(PathwiseTest, ADrainEndsAReplayWithinASlice) {
  Sample();
  absl::Notification replaying;
  engine_.hooks().on_tangent_step = [&replaying](int64_t steps) {
    if (steps > 300 && !replaying.HasBeenNotified()) replaying.Notify();
    return absl::OkStatus();
  };
  absl::Status status;
  std::thread caller(
      [&] { status = ErrorOf(Ask(Inline(1), Estimator::kPathwise, kMostSlopeDraws)); });
  replaying.WaitForNotification();
  jobs_->Drain();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST_F(PathwiseTest, AnErrorOfTheDeviceEndsTheQuestionWithIt) {
  Sample();
  engine_.hooks().on_tangent_step = [](int64_t steps) {
    return steps > 50 ? absl::ResourceExhaustedError("device memory") : absl::OkStatus();
  };
  EXPECT_EQ(ErrorOf(Ask(Inline(1), Estimator::kPathwise)).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(PathwiseTest, TooManySlopesAreRefusedWithWhatToLower) {
  Sample();
  const absl::Status status =
      ErrorOf(Ask(Inline(kMaxQueries), Estimator::kPathwise, kMostSlopeDraws));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("pathwise.draws"));
}

TEST_F(PathwiseTest, WrongFieldsAreNamed) {
  Sample();
  const auto field = [&](auto change) {
    AttributeRequest request = Ask(Inline(1), Estimator::kPathwise);
    change(request);
    const absl::Status status = ErrorOf(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return FieldPath(status).value_or("");
  };
  EXPECT_EQ(field([](auto& r) { r.pathwise.draws = kMostSlopeDraws + 1; }), "pathwise.draws");
  EXPECT_EQ(field([](auto& r) {
              r.estimator = Estimator::kBif;
              r.pathwise.draws = 9;
            }),
            "pathwise.draws");
  EXPECT_EQ(field([](auto& r) { r.refine = RefineSpec{.forward_passes = 9}; }), "refine");
  TokenInfluenceRequest tokens;
  tokens.posterior = posterior_;
  tokens.estimator = Estimator::kMixed;
  const absl::Status status = jobs_->queries().TokenInfluence(
      tokens, CancelToken(), [](const TokenInfluenceBlock&) { return absl::OkStatus(); });
  EXPECT_EQ(FieldPath(status), "estimator");
}

}  // namespace
}  // namespace bif::jobs
