// bifctl on slopes: what it asks for, and what it says an answer rests on.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void FillPathwise(v1::PathwiseProvenance& pathwise) {
  pathwise.set_stretches(4);
  pathwise.set_draws(80);
  pathwise.set_steps_between_slopes(20);
  pathwise.set_tangent_burn_in_steps(194);
  pathwise.set_bias_bound(0.0196);
  pathwise.set_hessian(v1::EXACT);
  pathwise.set_slopes(v1::EXACT);
  pathwise.set_jackknife_blocks(20);
  pathwise.set_forward_passes(1234567);
}

TEST_F(BifctlTest, PathwiseScoresAreAskedForAndSayWhatTheyRestOn) {
  v1::AttributeRequest seen;
  server_.attribute = [&](const v1::AttributeRequest& request,
                          std::vector<v1::AttributeResponse>& responses) {
    seen = request;
    auto& progress = responses.emplace_back();
    progress.set_slope_draws_done(20);
    progress.set_slope_draws_total(80);
    auto& response = responses.emplace_back();
    response.set_final(true);
    response.add_rankings()->set_sample_id("4");
    response.mutable_provenance()->set_estimator(v1::PATHWISE);
    auto& pathwise = *response.mutable_provenance()->mutable_pathwise();
    FillPathwise(pathwise);
    pathwise.set_preconditioner_held_fixed(true);
    pathwise.set_states_missing(2);
    auto& left = *pathwise.add_left_out();
    left.set_chain(3);
    left.set_from_step(640);
    left.set_query(0);
    left.set_reason("the tangent grew");
    return Ok();
  };
  const Ran ran =
      Bifctl("attribute --posterior p1 --query test/4 --estimator pathwise --pathwise-draws 40");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.estimator(), v1::PATHWISE);
  EXPECT_EQ(seen.pathwise().draws(), 40u);
  EXPECT_FALSE(seen.has_refine());
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("slopes at 80 draws of 4 stretches"), HasSubstr("194 steps"),
                    HasSubstr("2 %"), HasSubstr("1,234,567 forward passes"),
                    HasSubstr("preconditioner"), HasSubstr("2 stored chain states"),
                    HasSubstr("left out: chain 3 from step 640, query #0: the tangent grew")));
}

TEST_F(BifctlTest, ARefinedTopKShowsWhatIsDecided) {
  v1::AttributeRequest seen;
  server_.attribute = [&](const v1::AttributeRequest& request,
                          std::vector<v1::AttributeResponse>& responses) {
    seen = request;
    auto& progress = responses.emplace_back();
    progress.set_budget_used(0.5);
    auto& response = responses.emplace_back();
    response.set_final(true);
    auto& ranking = *response.add_rankings();
    auto& score = *ranking.add_helpful();
    score.set_sample_id("11");
    score.set_refined(true);
    score.set_helps(true);
    score.set_distinguishable(true);
    ranking.mutable_refined()->set_refined(120);
    ranking.mutable_refined()->set_helpful_decided(1);
    ranking.mutable_refined()->set_harmful_undecided(7);
    FillPathwise(*response.mutable_provenance()->mutable_pathwise());
    response.mutable_provenance()->mutable_pathwise()->add_share_that_disagree(0.4);
    return Ok();
  };
  const Ran ran = Bifctl(
      "attribute --posterior p1 --query test/4 --refine mixed --refine-seconds 2.5 "
      "--refine-simultaneous");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.refine().estimator(), v1::MIXED);
  EXPECT_EQ(seen.refine().time().seconds(), 2);
  EXPECT_EQ(seen.refine().time().nanos(), 500'000'000);
  EXPECT_TRUE(seen.refine().simultaneous());
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("helps *"), HasSubstr("1 of 1 helpful, "),
                    HasSubstr("7 candidates in doubt"), HasSubstr("120 candidates refined"),
                    HasSubstr("40 % of the pairs' two estimates disagree")));

  EXPECT_EQ(Bifctl("attribute --posterior p1 --query test/4 --refine pathwise --refine-passes 5000")
                .exit_code,
            0);
  EXPECT_EQ(seen.refine().estimator(), v1::PATHWISE);
  EXPECT_EQ(seen.refine().forward_passes(), 5000u);
  EXPECT_EQ(Bifctl("attribute --posterior p1 --query test/4 --refine pathwise").exit_code, 0);
  EXPECT_EQ(seen.refine().time().seconds(), 30) << "the default";
}

TEST_F(BifctlTest, AScoreMatrixOfSlopesSaysOnStderrWhatItRestsOn) {
  server_.score_matrix = [](const v1::ScoreMatrixRequest& request,
                            std::vector<v1::ScoreMatrixResponse>& blocks) {
    EXPECT_EQ(request.estimator(), v1::MIXED);
    EXPECT_EQ(request.pathwise().draws(), 8u);
    auto& block = blocks.emplace_back();
    block.set_queries(1);
    block.add_candidate_ids("a");
    block.add_scores(0.5f);
    block.mutable_provenance()->set_estimator(v1::MIXED);
    FillPathwise(*block.mutable_provenance()->mutable_pathwise());
    return Ok();
  };
  const Ran ran =
      Bifctl("score-matrix --posterior p1 --query test/4 --estimator mixed --pathwise-draws 8");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "candidate,query,score\na,4,0.5\n");
  EXPECT_THAT(ran.err, AllOf(HasSubstr("80 draws of 4 stretches"), Not(HasSubstr("left out:"))));
}

TEST(BifctlUsageOfSlopes, BudgetsNeedRefineAndThereIsOne) {
  const std::string line = "attribute --posterior p --query a/1 ";
  for (const char* wrong :
       {"--refine bif", "--refine-seconds 3", "--refine-passes 3", "--refine-simultaneous",
        "--refine mixed --refine-seconds 0", "--refine mixed --refine-seconds 1 --refine-passes 9",
        "--pathwise-draws 0"}) {
    const Ran ran = RunLine(line + wrong);
    EXPECT_EQ(ran.exit_code, 2) << wrong;
    EXPECT_THAT(ran.err, HasSubstr("bifctl: ")) << wrong;
  }
}

}  // namespace
}  // namespace bif::client
