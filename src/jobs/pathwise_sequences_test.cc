// Slopes of sequences: spans and positions, masks, and rows of many lengths.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/sequences_fixture.h"

namespace bif::jobs {
namespace {

using attribution::Estimator;
using engine::Observable;
using engine::ObservableKind;

class PathwiseSequencesTest : public SequencesFixture {
 protected:
  Matrix Pathwise(const Tokens& query, const Observable& observable, bool masked = false) {
    ScoreMatrixRequest request;
    request.posterior = posterior_;
    request.queries = InlineTokens({query}, masked);
    request.estimator = Estimator::kPathwise;
    request.observable = observable;
    request.standard_errors = true;
    request.pathwise.draws = 16;
    return Scores(request);
  }
};

// Tangents, and so slopes, are linear in the observable.
TEST_F(PathwiseSequencesTest, TheScoresOfSpansAddUpToThatOfTheSequence) {
  engine::SequenceSpec sums;
  sums.reduction = engine::TokenReduction::kSum;
  Sample(SequenceSpecOf(sums));
  const Tokens query = SomeTokens(7, 99);
  const Matrix whole = Pathwise(query, {});
  Observable front{.kind = ObservableKind::kSpanLoss};
  front.span_begin = 1;
  front.span_end = 4;
  Observable back{.kind = ObservableKind::kSpanLoss};
  back.span_begin = 4;
  const Matrix first = Pathwise(query, front), second = Pathwise(query, back);
  ASSERT_EQ(whole.scores.size(), static_cast<size_t>(kSequences));
  double largest = 0;
  for (size_t i = 0; i < whole.scores.size(); ++i) {
    largest = std::max(largest, std::abs(double{whole.scores[i]}));
    EXPECT_NEAR(first.scores[i] + second.scores[i], whole.scores[i],
                1e-5 * std::abs(whole.scores[i]) + 1e-7);
  }
  EXPECT_GT(largest, 1e-3);
  EXPECT_EQ(first.provenance.observable, front);
}

TEST_F(PathwiseSequencesTest, AHiddenTokenIsInNoSlope) {
  engine::SequenceSpec masked;
  masked.mask_column = "mask";
  Sample(SequenceSpecOf(masked));
  Tokens query = SomeTokens(6, 99);  // tokens 2 and 5 are hidden
  const Matrix one = Pathwise(query, {}, true);
  query[5] = (query[5] + 1) % static_cast<int32_t>(kVocabulary);  // the last: before no other
  const Matrix other = Pathwise(query, {}, true);
  EXPECT_EQ(one.scores, other.scores);
  query[1] = (query[1] + 1) % static_cast<int32_t>(kVocabulary);
  EXPECT_NE(Pathwise(query, {}, true).scores, one.scores);
}

TEST_F(PathwiseSequencesTest, AProbabilityMovesAgainstItsLoss) {
  Sample(SequenceSpecOf());
  const Tokens query = SomeTokens(4, 99);
  Observable loss{.kind = ObservableKind::kSpanLoss};
  loss.span_begin = 2;
  loss.span_end = 3;
  Observable probability{.kind = ObservableKind::kTokenProbability};
  probability.position = 2;
  const Matrix of_loss = Pathwise(query, loss), of_probability = Pathwise(query, probability);
  int opposite = 0;
  for (size_t i = 0; i < of_loss.scores.size(); ++i)
    opposite += of_loss.scores[i] * of_probability.scores[i] < 0;
  EXPECT_EQ(opposite, kSequences);
}

}  // namespace
}  // namespace bif::jobs
