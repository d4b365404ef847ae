// What queries answer, against recomputation; what they evaluate; what they refuse.
#include "src/jobs/queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

using attribution::Centring;
using attribution::Estimator;

class QueriesTest : public QueriesFixture {
 protected:
  int64_t observed() { return engine_.hooks().observed_rows; }
};

constexpr uint32_t kTotal = 2 * 24;  // draws of all chains

TEST_F(QueriesTest, ScoresEqualADoublePrecisionRecomputationFromExportedTraces) {
  SampleIt();
  const SampleSet queries = Inline(3);
  const Traces query_traces = Export(queries);
  const Traces rows = Export({{}, "datasets/train", {}});
  ASSERT_EQ(rows.ids.size(), static_cast<size_t>(kTrainingRows));
  for (Estimator estimator : {Estimator::kBif, Estimator::kNormalizedBif, Estimator::kCovariance}) {
    for (Centring centring : {Centring::kPooled, Centring::kWithinChain, Centring::kChainMean}) {
      const Matrix matrix = Scores({posterior_, queries, {}, estimator, centring, {}, true});
      ASSERT_EQ(matrix.ids, rows.ids);
      // The blocks depend on the sampling loss; the answer says how many there were.
      attribution::TraceLayout layout = rows.layout;
      for (layout.block_draws = kDraws; layout.block_draws > 1; --layout.block_draws) {
        if (MakePlan(layout, centring).blocks.size() == matrix.provenance.jackknife_blocks) break;
      }
      for (size_t i = 0; i < rows.ids.size(); i += 37) {
        for (size_t j = 0; j < 3; ++j) {
          const auto expected = attribution::ReferenceScoreOf(layout, estimator, centring,
                                                              rows.row(i), query_traces.row(j));
          EXPECT_NEAR(matrix.scores[i * 3 + j], expected.score,
                      1e-5 * std::abs(expected.score) + 1e-9);
          EXPECT_NEAR(matrix.standard_errors[i * 3 + j], expected.standard_error,
                      1e-4 * expected.standard_error);
        }
      }
    }
  }
}

TEST_F(QueriesTest, RankingsAreTheEndsOfTheSortedScores) {
  SampleIt();
  const SampleSet queries = Inline(2);
  const Matrix matrix =
      Scores({posterior_, queries, {}, Estimator::kBif, Centring::kPooled, {}, true});
  AttributeRequest request = Ask(queries);
  request.top_k = 5;
  const AttributeUpdate answer = Answer(request);
  ASSERT_EQ(answer.rankings.size(), 2u);
  for (size_t j = 0; j < 2; ++j) {
    std::vector<size_t> order(matrix.ids.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return matrix.scores[a * 2 + j] < matrix.scores[b * 2 + j];
    });
    const QueryRanking& ranking = answer.rankings[j];
    ASSERT_EQ(ranking.helpful.size(), 5u);
    ASSERT_EQ(ranking.harmful.size(), 5u);
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(ranking.helpful[k].sample_id, matrix.ids[order[k]]);  // negative BIF helps
      EXPECT_EQ(ranking.harmful[k].sample_id, matrix.ids[order[order.size() - 1 - k]]);
      EXPECT_EQ(ranking.helpful[k].score, matrix.scores[order[k] * 2 + j]);
      EXPECT_EQ(ranking.helpful[k].helps, ranking.helpful[k].score < 0);
    }
    EXPECT_GE(ranking.helpful_stability, 0);
    EXPECT_LE(ranking.helpful_stability, 1);
  }
  EXPECT_EQ(answer.provenance.chains, 2u);
  EXPECT_EQ(answer.provenance.draws_per_chain, kDraws);
  EXPECT_EQ(answer.provenance.draws_left_out, 0u);
  EXPECT_EQ(answer.provenance.posterior, posterior_);
}

TEST_F(QueriesTest, ARepeatedQueryEvaluatesNothingAlsoAfterARestart) {
  SampleIt();
  const AttributeRequest request = Ask(Inline(2));
  const AttributeUpdate first = Answer(request);
  EXPECT_EQ(first.rows_evaluated, 2u);
  const int64_t evaluated = observed();
  for (int repeat = 0; repeat < 2; ++repeat) {
    const AttributeUpdate again = Answer(request);
    EXPECT_EQ(again.rows_evaluated, 0u);
    EXPECT_EQ(observed(), evaluated);
    ASSERT_EQ(again.rankings.size(), 2u);
    EXPECT_EQ(again.rankings[0].helpful[0].sample_id, first.rankings[0].helpful[0].sample_id);
    EXPECT_EQ(again.rankings[1].harmful[0].score, first.rankings[1].harmful[0].score);
    Restart();
  }
}

TEST_F(QueriesTest, OnlyRowsWithoutTracesAreEvaluated) {
  SampleIt();
  Answer(Ask(Inline(2)));
  const int64_t before = observed();
  SampleSet mixed = Inline(2);
  mixed.inline_samples.push_back(Inline(1, 5).inline_samples[0]);
  mixed.inline_samples.push_back(mixed.inline_samples[2]);  // the same one twice
  const AttributeUpdate answer = Answer(Ask(mixed));
  EXPECT_EQ(answer.rows_evaluated, 2u);
  EXPECT_EQ(observed() - before, 2 * (kTotal + 1));  // every draw, and w*
  EXPECT_EQ(answer.rankings[2].helpful[0].score, answer.rankings[3].helpful[0].score);
  EXPECT_EQ(jobs_->counters().query_rows_traced, 4u);
  EXPECT_EQ(jobs_->counters().query_rows_stored, 2u);
  EXPECT_EQ(Answer(Ask(mixed)).rows_evaluated, 0u);
}

TEST_F(QueriesTest, AStoredTrainingRowNeedsNoEvaluation) {
  SampleIt();
  const int64_t before = observed();
  const AttributeUpdate answer = Answer(Ask({{}, "datasets/train", {"r7", "r290"}}));
  EXPECT_EQ(answer.rows_evaluated, 0u);
  EXPECT_EQ(observed(), before);
  EXPECT_EQ(answer.rankings[0].sample_id, "r7");
  // Nothing is as correlated with a row as the row itself.
  AttributeRequest correlation = Ask({{}, "datasets/train", {"r7"}});
  correlation.estimator = Estimator::kCorrelation;
  EXPECT_EQ(Answer(correlation).rankings[0].helpful[0].sample_id, "r7");
  EXPECT_NEAR(Answer(correlation).rankings[0].helpful[0].score, 1, 1e-5);
}

TEST_F(QueriesTest, AnswersOnTheWayComeFromTheDrawsSoFarAndTheLastFromAll) {
  SampleIt();
  // The device waits with its fourth evaluation (w*, then three slices) until an answer has come.
  absl::Notification answered;
  const int64_t calls = engine_.hooks().observe_calls;
  engine_.hooks().on_observe = [&](int64_t call) {
    if (call - calls >= 4) answered.WaitForNotification();
    return absl::OkStatus();
  };
  std::vector<AttributeUpdate> updates;
  const absl::Status status =
      jobs_->queries().Attribute(Ask(Inline(1)), CancelToken(), [&](const AttributeUpdate& update) {
        updates.push_back(update);
        if (!answered.HasBeenNotified()) answered.Notify();
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_GE(updates.size(), 2u);
  for (size_t i = 0; i < updates.size(); ++i) {
    EXPECT_EQ(updates[i].draws_total, kTotal);
    EXPECT_EQ(updates[i].draws_done, updates[i].provenance.draws_per_chain * 2);
    EXPECT_EQ(updates[i].final, i + 1 == updates.size());
    EXPECT_EQ(updates[i].rankings.size(), 1u);
    EXPECT_GT(updates[i].draws_done, i == 0 ? 0 : updates[i - 1].draws_done);
  }
  EXPECT_EQ(updates.back().draws_done, kTotal);
}

TEST_F(QueriesTest, DeletedCandidatesVanishAtOnce) {
  SampleIt();
  const AttributeRequest request = Ask(Inline(1));
  const std::string best = Answer(request).rankings[0].helpful[0].sample_id;
  const std::string second = Answer(request).rankings[0].helpful[1].sample_id;
  ASSERT_TRUE(jobs_->datasets().DeleteSamples("datasets/train", {best}).ok());
  EXPECT_EQ(Answer(request).rankings[0].helpful[0].sample_id, second);
  const Matrix matrix =
      Scores({posterior_, Inline(1), {}, Estimator::kBif, Centring::kPooled, {}, false});
  EXPECT_EQ(matrix.ids.size(), static_cast<size_t>(kTrainingRows - 1));
  EXPECT_EQ(std::count(matrix.ids.begin(), matrix.ids.end(), best), 0);
}

TEST_F(QueriesTest, AfterAnExtensionQueriesAreEvaluatedAtTheNewDrawsOnly) {
  SampleIt();
  const AttributeRequest request = Ask(Inline(2));
  Answer(request);
  Extend(kDraws + 10);
  const int64_t before = observed();
  const AttributeUpdate answer = Answer(request);
  EXPECT_EQ(observed() - before,
            2 * (2 * 10 + 1));  // two rows: the new draws of both chains, and w*
  EXPECT_EQ(answer.provenance.draws_per_chain, kDraws + 10);
  EXPECT_EQ(Answer(request).rows_evaluated, 0u);
  // The joined trace is what a fresh evaluation gives: the fake engine rounds the same way every
  // time.
  const Traces joined = Export(Inline(2));
  const Traces fresh = Export(Inline(3));  // the first two are the same samples
  EXPECT_TRUE(std::equal(joined.values.begin(), joined.values.end(), fresh.values.begin()));
  EXPECT_EQ(joined.layout.draws, kDraws + 10);
}

TEST_F(QueriesTest, ManyAskingTheSameAtOnceGetTheSameAnswerAndKeepOneTrace) {
  SampleIt();
  std::vector<std::thread> threads;
  std::vector<AttributeUpdate> answers(6);
  for (size_t i = 0; i < answers.size(); ++i) {
    // Odd ones ask for one sample more, so slots are given out in different orders.
    threads.emplace_back([&, i] { answers[i] = Answer(Ask(Inline(i % 2 == 0 ? 2 : 3))); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const AttributeUpdate& answer : answers) {
    ASSERT_GE(answer.rankings.size(), 2u);
    for (size_t q = 0; q < 2; ++q) {
      EXPECT_EQ(answer.rankings[q].helpful[0].sample_id,
                answers[0].rankings[q].helpful[0].sample_id);
      EXPECT_EQ(answer.rankings[q].helpful[0].score, answers[0].rankings[q].helpful[0].score);
    }
  }
  // What was kept gives the same scores.
  Restart();
  const AttributeUpdate stored = Answer(Ask(Inline(3)));
  EXPECT_EQ(stored.rows_evaluated, 0u);
  for (size_t q = 0; q < 3; ++q) {
    EXPECT_EQ(stored.rankings[q].harmful[0].score, answers[1].rankings[q].harmful[0].score);
  }
}

TEST_F(QueriesTest, CandidatesMayBeNamed) {
  SampleIt();
  AttributeRequest request = Ask(Inline(1));
  request.candidates = {{}, "datasets/train", {"r299", "r3", "r100"}};
  request.top_k = 3;
  const AttributeUpdate answer = Answer(request);
  std::vector<std::string> ids;
  for (const ScoredSample& sample : answer.rankings[0].helpful) ids.push_back(sample.sample_id);
  EXPECT_THAT(ids, ::testing::UnorderedElementsAre("r299", "r3", "r100"));
  EXPECT_EQ(answer.rankings[0].helpful_stability, 1);  // all of them are asked for
}

TEST_F(QueriesTest, RefusesTopKAboveTheCandidates) {
  SampleIt();
  AttributeRequest request = Ask(Inline(1));
  request.top_k = kTrainingRows + 1;
  EXPECT_EQ(ErrorOf(request).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(ErrorOf(request)), "top_k");
}

TEST_F(QueriesTest, RefusesBadSamplesWithTheirPathAndKeepsNothing) {
  SampleIt();
  const int64_t before = observed();
  SampleSet queries = Inline(4);
  queries.inline_samples[3].tensors[0].spec.shape = {2, 2};
  EXPECT_EQ(FieldPath(ErrorOf(Ask(queries))), "queries.inline[3].tensors[0]");
  queries = Inline(4);
  queries.inline_samples[2].tensors.pop_back();
  EXPECT_EQ(FieldPath(ErrorOf(Ask(queries))), "queries.inline[2]");
  EXPECT_EQ(FieldPath(ErrorOf(Ask({}))), "queries");
  EXPECT_EQ(FieldPath(ErrorOf(Ask(Inline(kMaxQueries + 1)))), "queries.inline");
  EXPECT_EQ(FieldPath(ErrorOf(Ask({{}, "datasets/train", {"r1", "r1"}}))), "queries.sample_ids[1]");
  EXPECT_EQ(ErrorOf(Ask({{}, "datasets/train", {"nobody"}})).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorOf(Ask({{}, "datasets/none", {"r1"}})).code(), absl::StatusCode::kNotFound);
  AttributeRequest request = Ask(Inline(1));
  request.candidates = Inline(1);
  EXPECT_EQ(FieldPath(ErrorOf(request)), "candidates.inline");
  request = Ask(Inline(1));
  request.observable.kind = engine::ObservableKind::kMargin;  // a program without logits
  EXPECT_EQ(FieldPath(ErrorOf(request)), "observable.kind");
  EXPECT_EQ(observed(), before);
}

TEST_F(QueriesTest, RefusesAPosteriorThatIsStillBeingSampled) {
  absl::Notification release;
  engine_.hooks().on_advance = [&](int64_t) {
    release.WaitForNotification();
    return absl::OkStatus();
  };
  PosteriorSpec spec;
  spec.checkpoint = MakeCheckpoint();
  spec.dataset = MakeDataset("train", 10);
  spec.settings = SomeSettings();
  const auto operation = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(operation.ok()) << operation.status();
  posterior_ = operation->target;
  EXPECT_EQ(ErrorOf(Ask(Inline(1))).code(), absl::StatusCode::kFailedPrecondition);
  release.Notify();
  WaitFor(operation->name);
  EXPECT_EQ(Answer(Ask(Inline(1))).rankings.size(), 1u);
}

TEST_F(QueriesTest, ACancelledQueryEndsAndKeepsNothing) {
  SampleIt();
  CancelToken cancel;
  const int64_t calls = engine_.hooks().observe_calls;
  engine_.hooks().on_observe = [&](int64_t call) {
    if (call - calls == 2) cancel.Cancel();
    return absl::OkStatus();
  };
  const absl::Status status = jobs_->queries().Attribute(
      Ask(Inline(1)), cancel, [](const AttributeUpdate&) { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  engine_.hooks().on_observe = nullptr;
  EXPECT_EQ(Answer(Ask(Inline(1))).rows_evaluated, 1u);
}

TEST_F(QueriesTest, AnErrorOfTheSinkEndsTheQuery) {
  SampleIt();
  const absl::Status status = jobs_->queries().Attribute(
      Ask(Inline(1)), CancelToken(),
      [](const AttributeUpdate&) { return absl::UnavailableError("gone"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(QueriesTest, AnEngineErrorReachesTheCaller) {
  SampleIt();
  engine_.hooks().on_observe = [](int64_t) {
    return absl::ResourceExhaustedError("out of device memory");
  };
  EXPECT_EQ(ErrorOf(Ask(Inline(1))).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(QueriesTest, SelfInfluenceIsTheVarianceOfEachRowsOwnTrace) {
  SampleIt();
  const Traces rows = Export({{}, "datasets/train", {}});
  size_t at = 0;
  const absl::Status status = jobs_->queries().SelfInfluence(
      {posterior_, {}, Centring::kPooled}, CancelToken(), [&](const SelfInfluenceBlock& block) {
        for (size_t i = 0; i < block.sample_ids.size(); ++i, ++at) {
          EXPECT_EQ(block.sample_ids[i], rows.ids[at]);
          const attribution::Chain all(rows.row(at), rows.row(at) + rows.layout.values());
          const double variance = attribution::CentredProducts(all, all) / (kTotal - 1);
          EXPECT_NEAR(block.variances[i], variance, 1e-5 * variance);
          EXPECT_NEAR(block.mean_losses[i], attribution::MeanOf(all), 1e-5);
          EXPECT_GT(block.standard_errors[i], 0);
          // At w* there is no noise: a loss, and not the mean over draws.
          EXPECT_GE(block.anchor_losses[i], 0);
          EXPECT_NE(block.anchor_losses[i], block.mean_losses[i]);
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(at, static_cast<size_t>(kTrainingRows));
}

TEST_F(QueriesTest, ADeletedPosteriorAnswersNoMore) {
  SampleIt();
  Answer(Ask(Inline(1)));
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior_).ok());
  EXPECT_EQ(ErrorOf(Ask(Inline(1))).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace bif::jobs
