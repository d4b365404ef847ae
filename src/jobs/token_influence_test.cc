// Scores between tokens: against the losses of tokens recomputed from the stored draws, their sums,
// what is kept, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/synchronization/notification.h"
#include "src/base/half.h"
#include "src/base/status.h"
#include "src/jobs/scoring.h"
#include "src/jobs/trace_arrays.h"
#include "tests/support/sequences_fixture.h"

namespace bif::jobs {
namespace {

class TokenInfluenceTest : public SequencesFixture {
 protected:
  // Every number of an answer, from traces of tokens [token][chain][draw].
  void ExpectScores(const TokenAnswer& answer, const TokenInfluenceRequest& request,
                    const std::vector<float>& rows, const std::vector<float>& columns) {
    const attribution::TraceLayout layout = Layout();
    const auto values = static_cast<size_t>(layout.values());
    const size_t row_count = rows.size() / values;
    const size_t column_count = columns.size() / values;
    ASSERT_EQ(answer.columns, column_count);
    ASSERT_EQ(answer.summary.rows, row_count);
    ASSERT_EQ(answer.scores.size(), row_count * column_count);
    ASSERT_EQ(answer.standard_errors.size(), row_count * column_count);
    const auto expect = [&](float score, float error, const float* row, const float* column) {
      const auto expected =
          attribution::ReferenceScoreOf(layout, request.estimator, request.centring, row, column);
      if (std::isnan(expected.score)) {  // a token without variance
        EXPECT_EQ(score, 0);
        return;
      }
      EXPECT_NEAR(score, expected.score, 2e-5 * std::abs(expected.score) + 1e-7);
      EXPECT_NEAR(error, expected.standard_error, 2e-5 * expected.standard_error + 1e-7);
    };
    const std::vector<float> sum = SumOf(columns);
    for (size_t i = 0; i < row_count; ++i) {
      const float* row = rows.data() + i * values;
      for (size_t j = 0; j < column_count; ++j) {
        expect(answer.scores[i * column_count + j], answer.standard_errors[i * column_count + j],
               row, columns.data() + j * values);
      }
      expect(answer.completions[i], answer.completion_errors[i], row, sum.data());
    }
    expect(answer.summary.sequence_score.score, answer.summary.sequence_score.standard_error,
           SumOf(rows).data(), sum.data());
  }
  attribution::TraceLayout Layout() {
    const auto view = jobs_->posteriors().Open(posterior_);
    EXPECT_TRUE(view.ok()) << view.status();
    return LayoutOf(*view,
                    DrawSelection(view->active_chains.size(), view->draws, {0, view->draws}, {}));
  }
  std::vector<float> SumOf(const std::vector<float>& traces) {
    const auto values = static_cast<size_t>(Layout().values());
    std::vector<float> sum;
    for (size_t t = 0; t < values; ++t) {
      double total = 0;
      for (size_t s = t; s < traces.size(); s += values) total += static_cast<double>(traces[s]);
      sum.push_back(static_cast<float>(total));
    }
    return sum;
  }
  TokenAnswer Answered(const TokenInfluenceRequest& request) {
    const auto answer = AskTokens(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : TokenAnswer{};
  }
};

const std::vector<int32_t> kQuery = {4, 0, 3, 3, 1, 2};

TEST_F(TokenInfluenceTest, EveryScoreIsThatOfTheTokensLossesAtTheStoredDraws) {
  Sample(SequenceSpecOf());
  const std::vector<float> rows = TokenTraces(TrainingTokens(4));
  const std::vector<float> columns = TokenTraces(kQuery);
  for (const auto estimator :
       {attribution::Estimator::kBif, attribution::Estimator::kCorrelation}) {
    for (const auto centring :
         {attribution::Centring::kPooled, attribution::Centring::kWithinChain}) {
      TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
      request.estimator = estimator;
      request.centring = centring;
      const TokenAnswer answer = Answered(request);
      ExpectScores(answer, request, rows, columns);
      EXPECT_EQ(answer.summary.first_column, 1u);
      EXPECT_EQ(answer.summary.provenance.estimator, estimator);
      EXPECT_EQ(answer.summary.provenance.draws_per_chain, kDraws);
      EXPECT_EQ(answer.summary.sequence_score.sample_id, "r4");
    }
  }
}

TEST_F(TokenInfluenceTest, TheSequencesScoreIsTheSumOfAllEntriesOverBothLengths) {
  Sample(SequenceSpecOf());  // a sequence's loss is the mean of its tokens'
  const TokenAnswer answer = Answered(Between(Stored("r4"), InlineTokens({kQuery})));
  double sum = 0;
  for (const float score : answer.scores) sum += static_cast<double>(score);
  EXPECT_NEAR(answer.summary.sequence_score.score, sum, 1e-6 * std::abs(sum));
  ScoreMatrixRequest sequences;
  sequences.posterior = posterior_;
  sequences.queries = InlineTokens({kQuery});
  sequences.candidates = Stored("r4");
  const double lengths = static_cast<double>((TrainingTokens(4).size() - 1) * (kQuery.size() - 1));
  const float expected = Scores(sequences).scores.at(0);
  EXPECT_NEAR(sum / lengths, expected, 1e-5 * std::abs(expected));
}

TEST_F(TokenInfluenceTest, AskingAgainEvaluatesNothing) {
  Sample(SequenceSpecOf());
  const TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
  const TokenAnswer first = Answered(request);
  EXPECT_EQ(first.summary.sequences_evaluated, 2u);
  const int64_t observed = engine_.hooks().observed_rows;
  Restart();
  const TokenAnswer second = Answered(request);
  EXPECT_EQ(second.summary.sequences_evaluated, 0u);
  EXPECT_EQ(engine_.hooks().observed_rows, observed);
  EXPECT_EQ(second.scores, first.scores);
  EXPECT_EQ(second.standard_errors, first.standard_errors);
  // Another query with the same training sequence: only that one is new.
  EXPECT_EQ(Answered(Between(Stored("r4"), Stored("r1"))).summary.sequences_evaluated, 1u);
}

TEST_F(TokenInfluenceTest, ASequenceWithItselfIsEvaluatedOnceAndSymmetric) {
  Sample(SequenceSpecOf());
  const SampleSet query = InlineTokens({kQuery});
  const TokenAnswer answer = Answered(Between(query, query));
  EXPECT_EQ(answer.summary.sequences_evaluated, 1u);
  const size_t n = kQuery.size() - 1;
  ASSERT_EQ(answer.scores.size(), n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) EXPECT_EQ(answer.scores[i * n + j], answer.scores[j * n + i]);
    EXPECT_LT(answer.scores[i * n + i], 0) << "BIF of a token with itself is minus its variance";
  }
}

TEST_F(TokenInfluenceTest, ASpanOfTheQueryIsThoseColumns) {
  Sample(SequenceSpecOf());
  TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
  const TokenAnswer whole = Answered(request);
  request.span_begin = 2;
  request.span_end = 5;
  const TokenAnswer part = Answered(request);
  EXPECT_EQ(part.summary.first_column, 2u);
  ASSERT_EQ(part.columns, 3u);
  for (size_t i = 0; i < part.summary.rows; ++i) {
    for (size_t j = 0; j < 3; ++j)
      EXPECT_EQ(part.scores[i * 3 + j], whole.scores[i * whole.columns + 1 + j]);
  }
  const auto values = static_cast<size_t>(Layout().values());
  const std::vector<float> columns = TokenTraces(kQuery);
  ExpectScores(part, request, TokenTraces(TrainingTokens(4)),
               {columns.begin() + static_cast<int64_t>(values),
                columns.begin() + static_cast<int64_t>(4 * values)});
}

TEST_F(TokenInfluenceTest, HiddenTokensScoreZero) {
  engine::SequenceSpec sequence;
  sequence.mask_column = "mask";
  Sample(SequenceSpecOf(sequence));
  const TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}, true));
  const TokenAnswer answer = Answered(request);
  ExpectScores(answer, request, TokenTraces(TrainingTokens(4), true), TokenTraces(kQuery, true));
  for (size_t j = 0; j < answer.columns; ++j)
    EXPECT_EQ(answer.scores[1 * answer.columns + j], 0) << "position 2 is hidden";
}

TEST_F(TokenInfluenceTest, LongSequencesComeInBlocksOfRows) {
  Sample(SequenceSpecOf());
  const Tokens longer = SomeTokens(500, 77);
  const TokenInfluenceRequest request = Between(InlineTokens({longer}), InlineTokens({longer}));
  const TokenAnswer answer = Answered(request);
  EXPECT_EQ(answer.scores.size(), 499u * 499u);
  EXPECT_EQ(answer.completions.size(), 499u);
  EXPECT_GT(answer.blocks, 1);
}

TEST_F(TokenInfluenceTest, NewDrawsAreEvaluatedWhereTheyAreMissing) {
  Sample(SequenceSpecOf());
  const TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
  Answered(request);
  const auto operation = jobs_->posteriors().Extend({}, posterior_, kDraws + 8);
  ASSERT_TRUE(operation.ok());
  ASSERT_TRUE(WaitFor(operation->name).error.ok());
  const int64_t before = engine_.hooks().observed_rows;
  const TokenAnswer answer = Answered(request);
  EXPECT_EQ(answer.summary.sequences_evaluated, 2u);
  EXPECT_EQ(engine_.hooks().observed_rows - before, 2 * (8 * kChains + 1)) << "and w* itself";
  ExpectScores(answer, request, TokenTraces(TrainingTokens(4)), TokenTraces(kQuery));
}

TEST_F(TokenInfluenceTest, HalvesAreKeptAndScoredAsTheyAreKept) {
  PosteriorSpec spec = SequenceSpecOf();
  spec.token_trace_type = storage::TraceType::kFloat16;
  Sample(spec);
  const TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
  const TokenAnswer first = Answered(request);
  const auto rounded = [](std::vector<float> traces) {
    for (float& v : traces) v = RoundToHalf(v);
    return traces;
  };
  ExpectScores(first, request, rounded(TokenTraces(TrainingTokens(4))),
               rounded(TokenTraces(kQuery)));
  Restart();
  EXPECT_EQ(Answered(request).scores, first.scores);
}

TEST_F(TokenInfluenceTest, BadRequestsAreRefusedByFieldAndNothingIsKept) {
  Sample(SequenceSpecOf());
  const TokenInfluenceRequest good =
      Between(InlineTokens({TrainingTokens(4)}), InlineTokens({kQuery}));
  const auto error_with = [&](auto change) {
    TokenInfluenceRequest request = good;
    change(request);
    return AskTokens(request).status();
  };
  const int64_t observed = engine_.hooks().observed_rows;
  const struct {
    absl::Status status;
    const char* field;
  } cases[] = {
      {error_with([](auto& r) { r.span_end = 7; }), "span_end"},
      {error_with([](auto& r) { r.span_begin = 6; }), "span_begin"},
      {error_with([](auto& r) { r.span_begin = r.span_end = 3; }), "span_begin"},
      {error_with([&](auto& r) {
         r.query = InlineTokens({kQuery, kQuery});
       }),
       "query.inline"},
      {error_with([&](auto& r) {
         r.training = InlineTokens({kQuery, kQuery});
       }),
       "training.inline"},
      {error_with([](auto& r) {
         r.query = {};
         r.query.dataset = "datasets/train";
       }),
       "query.sample_ids"},
      {error_with([](auto& r) { r.query = {}; }), "query"},
      {error_with([&](auto& r) { r.query = InlineTokens({{1}}); }), "query.inline[0]"},
      {error_with([&](auto& r) {
         r.query = InlineTokens({{1, 9}});
       }),
       "query.inline[0]"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(c.status.code(), absl::StatusCode::kInvalidArgument) << c.status;
    EXPECT_EQ(FieldPath(c.status), c.field) << c.status;
  }
  EXPECT_EQ(engine_.hooks().observed_rows, observed);
  EXPECT_EQ(Answered(good).summary.sequences_evaluated, 2u);
}

TEST_F(TokenInfluenceTest, SamplesThatAreNoSequencesAreRefused) {
  SampleIt();
  const absl::Status status = AskTokens(Between(Stored("r1"), Stored("r2"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(status), "posterior");
}

TEST_F(TokenInfluenceTest, APosteriorThatIsBeingSampledIsNotReady) {
  PosteriorSpec spec = SequenceSpecOf();
  absl::Notification blocked, go_on;
  engine_.hooks().on_advance = [&](int64_t call) {
    if (call == 3) {
      blocked.Notify();
      go_on.WaitForNotification();
    }
    return absl::OkStatus();
  };
  const auto operation = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(operation.ok());
  posterior_ = operation->target;
  blocked.WaitForNotification();
  EXPECT_EQ(AskTokens(Between(Stored("r4"), Stored("r1"))).status().code(),
            absl::StatusCode::kFailedPrecondition);
  go_on.Notify();
  WaitFor(operation->name);
}

TEST_F(TokenInfluenceTest, ACancelledCallKeepsNothing) {
  Sample(SequenceSpecOf());
  CancelToken cancel;
  cancel.Cancel();
  const TokenInfluenceRequest request = Between(Stored("r4"), InlineTokens({kQuery}));
  EXPECT_EQ(jobs_->queries()
                .TokenInfluence(request, cancel,
                                [](const TokenInfluenceBlock&) { return absl::OkStatus(); })
                .code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(Answered(request).summary.sequences_evaluated, 2u);
}

TEST_F(TokenInfluenceTest, DeletingThePosteriorTakesTokenTracesAlong) {
  Sample(SequenceSpecOf());
  Answered(Between(Stored("r4"), InlineTokens({kQuery})));
  AttributeRequest question = Ask(InlineTokens({kQuery}));
  question.observable.kind = engine::ObservableKind::kSpanLoss;
  question.observable.span_begin = 2;
  Answer(question);
  const auto left = [&](const storage::RecordKey& prefix) {
    return store_->catalog().ScanBytes(prefix, "", 0)->size();
  };
  EXPECT_EQ(left(storage::TokenExtentPrefix(1)), 2u);
  EXPECT_EQ(left(storage::ObservablePrefix(1)), 1u);
  ASSERT_TRUE(jobs_->posteriors().Delete(posterior_).ok());
  EXPECT_EQ(left(storage::TokenExtentPrefix(1)), 0u);
  EXPECT_EQ(left(storage::ObservablePrefix(1)), 0u);
  std::vector<float> value(1);
  EXPECT_EQ(store_->traces()
                .Read({1, kTokenLossArray, 1}, 0, 0, 1, 1, 1, 0, absl::MakeSpan(value))
                .code(),
            absl::StatusCode::kDataLoss);
}

// A span's loss is a loss: what lowers it helps, as with the loss of the whole sequence.
TEST_F(TokenInfluenceTest, WhatHelpsAWholeSequenceHelpsASpanThatIsAllOfIt) {
  Sample(SequenceSpecOf());
  AttributeRequest question = Ask(InlineTokens({kQuery}));
  const AttributeUpdate whole = Answer(question);
  question.observable.kind = engine::ObservableKind::kSpanLoss;
  question.observable.span_begin = 1;
  const AttributeUpdate span = Answer(question);
  ASSERT_FALSE(whole.rankings[0].helpful.empty());
  for (size_t i = 0; i < whole.rankings[0].helpful.size(); ++i) {
    EXPECT_EQ(span.rankings[0].helpful[i].sample_id, whole.rankings[0].helpful[i].sample_id);
    EXPECT_EQ(span.rankings[0].helpful[i].helps, whole.rankings[0].helpful[i].helps);
    EXPECT_EQ(span.rankings[0].harmful[i].sample_id, whole.rankings[0].harmful[i].sample_id);
  }
}

// --- observables that speak of tokens ---

TEST_F(TokenInfluenceTest, SpansPositionsAndDifferencesAreTracesOfTheirOwn) {
  Sample(SequenceSpecOf());
  const std::vector<float> tokens = TokenTraces(kQuery);
  const auto values = static_cast<size_t>(Layout().values());
  engine::Observable span{engine::ObservableKind::kSpanLoss};
  span.span_begin = 2;
  span.span_end = 4;
  engine::Observable probability{engine::ObservableKind::kTokenProbability};
  probability.position = 3;
  engine::Observable difference{engine::ObservableKind::kLogitDifference, 1, 2};
  difference.position = 3;
  for (const engine::Observable& observable : {span, probability, difference}) {
    ExportTracesRequest request;
    request.posterior = posterior_;
    request.samples = InlineTokens({kQuery});
    request.observable = observable;
    const int64_t before = engine_.hooks().observed_rows;
    std::vector<float> trace;
    for (int time = 0; time < 2; ++time) {
      trace.clear();
      ASSERT_TRUE(jobs_->queries()
                      .ExportTraces(request, CancelToken(),
                                    [&](const TraceExportBlock& block) {
                                      trace = block.values;
                                      return absl::OkStatus();
                                    })
                      .ok());
      Restart();
    }
    EXPECT_EQ(engine_.hooks().observed_rows - before, kChains * kDraws + 1) << "once, and at w*";
    ASSERT_EQ(trace.size(), values);
    for (size_t t = 0; t < values; ++t) {
      const float* at = tokens.data() + t;  // of the token at position 1
      if (observable == span) {
        EXPECT_NEAR(trace[t], (at[values] + at[2 * values]) / 2, 1e-6);
      } else if (observable == probability) {
        EXPECT_NEAR(trace[t], std::exp(-at[2 * values]), 1e-6);
      }
    }
  }
  AttributeRequest request = Ask(InlineTokens({kQuery}));
  request.observable = span;
  EXPECT_EQ(Answer(request).rows_evaluated, 0u);
  EXPECT_EQ(Answer(request).provenance.observable, span);
  request.observable.span_end = 5;
  EXPECT_EQ(Answer(request).rows_evaluated, 1u);
}

TEST_F(TokenInfluenceTest, ObservablesOutsideTheSequenceAreRefusedByField) {
  Sample(SequenceSpecOf());
  const auto field_of = [&](engine::ObservableKind kind, auto change) {
    AttributeRequest request = Ask(InlineTokens({SomeTokens(9, 1), kQuery}));
    request.observable.kind = kind;
    change(request.observable);
    const absl::Status status = ErrorOf(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return FieldPath(status).value_or("");
  };
  using engine::ObservableKind;
  EXPECT_EQ(field_of(ObservableKind::kSpanLoss, [](auto&) {}), "observable.span_begin");
  EXPECT_EQ(field_of(ObservableKind::kSpanLoss,
                     [](auto& o) {
                       o.span_begin = 3;
                       o.span_end = 2;
                     }),
            "observable.span_end");
  EXPECT_EQ(field_of(ObservableKind::kSpanLoss,
                     [](auto& o) {
                       o.span_begin = 3;
                       o.span_end = 8;  // of the first query, not of the second
                     }),
            "observable.span_end");
  EXPECT_EQ(field_of(ObservableKind::kSpanLoss, [](auto& o) { o.span_begin = 6; }),
            "observable.span_begin");
  EXPECT_EQ(field_of(ObservableKind::kTokenProbability, [](auto&) {}), "observable.position");
  EXPECT_EQ(field_of(ObservableKind::kTokenProbability, [](auto& o) { o.position = 6; }),
            "observable.position");
  EXPECT_EQ(field_of(ObservableKind::kLogit, [](auto& o) { o.logit_index = 1; }),
            "observable.position");
  EXPECT_EQ(field_of(ObservableKind::kLogitDifference,
                     [](auto& o) {
                       o.position = 1;
                       o.other_logit_index = kVocabulary;
                     }),
            "observable.other_logit_index");
  EXPECT_EQ(store_->catalog().ScanBytes(storage::ObservablePrefix(1), "", 0)->size(), 0u);
}

TEST_F(TokenInfluenceTest, ObservablesOfTokensNeedSequences) {
  SampleIt();
  const auto field_of = [&](engine::ObservableKind kind, uint32_t position) {
    AttributeRequest request = Ask(Inline(1));
    request.observable.kind = kind;
    request.observable.position = position;
    return FieldPath(ErrorOf(request)).value_or("");
  };
  EXPECT_EQ(field_of(engine::ObservableKind::kTokenProbability, 1), "observable.kind");
  EXPECT_EQ(field_of(engine::ObservableKind::kSpanLoss, 0), "observable.kind");
}

// --- traces of stored samples ---

TEST_F(TokenInfluenceTest, TraceSamplesKeepsTokensAndTheSequencesOwnLosses) {
  for (const auto type : {storage::TraceType::kFloat32, storage::TraceType::kFloat16}) {
    PosteriorSpec spec = SequenceSpecOf();
    spec.settings.seed = static_cast<uint64_t>(type);
    spec.token_trace_type = type;
    Sample(spec);
    std::vector<Tokens> rows;
    for (uint32_t r = 0; r < 7; ++r) rows.push_back(SomeTokens(2 + 5 * r, 50 + r));
    const std::string dataset = "more" + std::to_string(static_cast<int>(type));
    MakeSequences(dataset, rows);
    TraceSamplesRequest request;
    request.posterior = posterior_;
    request.dataset = "datasets/" + dataset;
    request.tokens = true;
    auto operation = jobs_->queries().TraceSamples(request);
    ASSERT_TRUE(operation.ok()) << operation.status();
    const Operation done = WaitFor(operation->name);
    ASSERT_TRUE(done.error.ok()) << done.error;
    EXPECT_EQ(done.result.rows_traced, 7);

    // The sequence's loss is the mean of its tokens' as they are kept, in double.
    const Traces losses = Export({{}, request.dataset, {}});
    ASSERT_EQ(losses.ids.size(), 7u);
    for (size_t r = 0; r < rows.size(); ++r) {
      const std::vector<float> tokens = TokenTraces(rows[r]);
      const auto values = static_cast<size_t>(losses.layout.values());
      for (size_t t = 0; t < values; ++t) {
        double sum = 0;
        for (size_t s = t; s < tokens.size(); s += values) {
          sum += static_cast<double>(type == storage::TraceType::kFloat16 ? RoundToHalf(tokens[s])
                                                                          : tokens[s]);
        }
        const auto count = static_cast<double>(rows[r].size() - 1);
        ASSERT_EQ(losses.row(r)[t], static_cast<float>(sum / count));
      }
    }
    const TokenAnswer answer = Answered(Between(Stored("r3", dataset), Stored("r5", dataset)));
    EXPECT_EQ(answer.summary.sequences_evaluated, 0u);
    operation = jobs_->queries().TraceSamples(request);
    ASSERT_TRUE(operation.ok());
    EXPECT_EQ(WaitFor(operation->name).result.rows_already_there, 7);
    SelfInfluenceRequest self;
    self.posterior = posterior_;
    self.candidates.dataset = request.dataset;
    EXPECT_TRUE(jobs_->queries()
                    .SelfInfluence(self, CancelToken(),
                                   [](const SelfInfluenceBlock& block) {
                                     for (const float loss : block.anchor_losses)
                                       EXPECT_GT(loss, 0);
                                     return absl::OkStatus();
                                   })
                    .ok())
        << "losses at w* were kept too";
    ASSERT_TRUE(jobs_->posteriors().Delete(posterior_).ok());
    ASSERT_TRUE(jobs_->datasets().Delete("datasets/train").ok());
  }
}

TEST_F(TokenInfluenceTest, TracingTokensOfWhatIsNoSequenceIsRefused) {
  SampleIt();
  TraceSamplesRequest request;
  request.posterior = posterior_;
  request.dataset = "datasets/train";
  request.tokens = true;
  EXPECT_EQ(FieldPath(jobs_->queries().TraceSamples(request).status()), "granularity");
}

TEST_F(TokenInfluenceTest, AnUnreadableDrawIsLeftOutOfBothSequences) {
  Sample(SequenceSpecOf());
  // What cannot be read is NaN in the traces of whoever is evaluated then.
  const auto draws = data_ / "store" + "/draws/1";
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(draws)) {
    const std::string path = entry.path();
    if (path.ends_with(".draws")) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(70);
  file.put('!');
  file.close();
  const TokenAnswer answer = Answered(Between(Stored("r4"), InlineTokens({kQuery})));
  EXPECT_EQ(answer.summary.provenance.draws_left_out, 1u);
  EXPECT_EQ(answer.summary.provenance.draws_per_chain, kDraws - 1);
  for (const float score : answer.scores) EXPECT_TRUE(std::isfinite(score));
}

}  // namespace
}  // namespace bif::jobs
