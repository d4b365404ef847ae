#include "src/jobs/ranking_groups.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

using attribution::RankingResult;
using attribution::Scorer;

constexpr int64_t kDraws = 8;

// A query whose trace tells which it is.
PreparedScorer Prepared(float number) {
  std::vector<float> trace(kDraws);
  for (int64_t t = 0; t < kDraws; ++t) trace[t] = number * static_cast<float>(t % 3);
  auto scorer = Scorer::Create({1, kDraws, 2}, attribution::Estimator::kBif,
                               attribution::Centring::kPooled, trace);
  return {DrawSelection(1, kDraws, {0, kDraws}, {}), trace, *std::move(scorer), {}};
}

class RankingGroupsTest : public ::testing::Test {
 protected:
  // Ranks one query. The pass counts, and gives rankings that hold each wish's k as a candidate.
  absl::StatusOr<RankingGroups::Rankings> Rank(int64_t k, const std::string& key = "key",
                                               const CancelToken& cancel = {}) {
    const PreparedScorer prepared = Prepared(static_cast<float>(k));
    const auto scorer = [](absl::Span<const float> traces) {
      return Scorer::Create({1, kDraws, 2}, attribution::Estimator::kBif,
                            attribution::Centring::kPooled, traces);
    };
    const auto pass = [this](const Scorer& all, const std::vector<RankingWish>& wishes,
                             absl::FunctionRef<bool()>) -> absl::StatusOr<RankingGroups::Rankings> {
      EXPECT_EQ(all.queries(), static_cast<int64_t>(wishes.size()));
      if (++passes_ == 1 && hold_first_) {
        held_.Notify();
        release_.WaitForNotification();
      }
      RankingGroups::Rankings rankings;
      for (const RankingWish& wish : wishes) {
        if (wish.k < 0) return absl::DataLossError("a broken tile");
        rankings.push_back({{{wish.k, {}}}, {}, 0, 0});
      }
      return rankings;
    };
    return groups_.Rank(key, {prepared, {{k, 1}}, cancel}, {scorer, pass});
  }
  static int64_t NumberIn(const absl::StatusOr<RankingGroups::Rankings>& rankings) {
    EXPECT_TRUE(rankings.ok()) << rankings.status();
    return rankings.ok() && rankings->size() == 1 ? (*rankings)[0].helpful[0].candidate : -1;
  }

  RankingGroups groups_;
  std::atomic<int> passes_{0};
  bool hold_first_ = false;
  absl::Notification held_, release_;
};

TEST_F(RankingGroupsTest, WhoComesAloneHasAPassOfTheirOwn) {
  for (int64_t k = 1; k <= 3; ++k) EXPECT_EQ(NumberIn(Rank(k)), k);
  EXPECT_EQ(passes_, 3);
}

TEST_F(RankingGroupsTest, WhoComesDuringAPassSharesTheNextOne) {
  hold_first_ = true;
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  callers.emplace_back([&] { right += NumberIn(Rank(1)) == 1; });
  held_.WaitForNotification();
  std::atomic<int> begun{0};
  for (int64_t k = 2; k <= 9; ++k) {
    callers.emplace_back([&, k] {
      ++begun;
      right += NumberIn(Rank(k)) == k;
    });
  }
  EXPECT_EQ(NumberIn(Rank(10, "another key")), 10);  // waits for nobody
  while (begun < 8) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until they wait, most likely
  release_.Notify();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, 9);
  EXPECT_LE(passes_, 10);  // never more than one for each
}

TEST_F(RankingGroupsTest, AnErrorOfThePassIsEverybodysAndTheNextOneIsServed) {
  EXPECT_TRUE(absl::IsDataLoss(Rank(-1).status()));
  EXPECT_EQ(NumberIn(Rank(2)), 2);
}

TEST_F(RankingGroupsTest, WhoHasCancelledIsNotServed) {
  CancelToken cancel;
  cancel.Cancel();
  EXPECT_TRUE(absl::IsCancelled(Rank(1, "key", cancel).status()));
  EXPECT_EQ(passes_, 0);
}

// The real thing: many callers at once get exactly what each gets alone.
class GroupedQueriesTest : public QueriesFixture {};

TEST_F(GroupedQueriesTest, AnswersAreTheSameInWhicheverCompany) {
  SampleIt();
  constexpr int kCallers = 12;
  std::vector<AttributeUpdate> answers(kCallers);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      AttributeRequest request = Ask(Inline(1 + i % 3, 100 + static_cast<uint32_t>(i)));
      request.top_k = 3 + static_cast<uint32_t>(i % 4);
      answers[i] = Answer(request);
    });
  }
  for (std::thread& caller : callers) caller.join();
  Restart();  // no answer is remembered
  for (int i = 0; i < kCallers; ++i) {
    AttributeRequest request = Ask(Inline(1 + i % 3, 100 + static_cast<uint32_t>(i)));
    request.top_k = 3 + static_cast<uint32_t>(i % 4);
    const AttributeUpdate alone = Answer(request);
    ASSERT_EQ(answers[i].rankings.size(), alone.rankings.size());
    for (size_t q = 0; q < alone.rankings.size(); ++q) {
      ASSERT_EQ(answers[i].rankings[q].helpful.size(), alone.rankings[q].helpful.size());
      for (size_t r = 0; r < alone.rankings[q].helpful.size(); ++r) {
        const ScoredSample& a = answers[i].rankings[q].helpful[r];
        const ScoredSample& b = alone.rankings[q].helpful[r];
        EXPECT_EQ(a.sample_id, b.sample_id);
        EXPECT_EQ(a.score, b.score);
        EXPECT_EQ(a.standard_error, b.standard_error);
      }
    }
  }
}

}  // namespace
}  // namespace bif::jobs
