// bifctl group-influence: what is asked, and how the answer reads.
#include "gmock/gmock.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::GroupInfluenceResponse SomeAnswer() {
  v1::GroupInfluenceResponse answer;
  v1::GroupScore& score = *answer.add_scores();
  score.set_sample_id("q");
  score.mutable_score()->set_score(-0.25f);
  score.mutable_score()->set_standard_error(0.02f);
  score.mutable_score()->set_distinguishable(true);
  score.mutable_score()->set_helps(true);
  score.mutable_normalized_score()->set_score(-0.5f);
  score.mutable_normalized_score()->set_standard_error(0.1f);
  score.mutable_removal()->set_change(0.125);
  score.mutable_removal()->set_standard_error(0.01);
  score.mutable_removal()->set_low(0.105);
  score.mutable_removal()->set_high(0.145);
  answer.set_members(3);
  answer.set_repeated_ids(1);
  return answer;
}

TEST_F(BifctlTest, AGroupComesFromFlagsAndFromAFile) {
  v1::GroupInfluenceRequest seen;
  server_.group_influence = [&](const auto& request, auto& responses) {
    seen = request;
    responses.push_back(SomeAnswer());
    return Ok();
  };
  const std::string file = Write("group.txt", "train/7\n\n  datasets/train/samples/8 \ntrain/7\n");
  const Ran ran = Bifctl(
      "group-influence --posterior p --query asked/q --group train/5 --centring within-chain "
      "--observable margin --group-file " +
      file);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.posterior(), "posteriors/p");
  EXPECT_EQ(seen.group().dataset(), "datasets/train");
  EXPECT_THAT(seen.group().sample_ids(), ElementsAre("5", "7", "8", "7"));
  EXPECT_THAT(seen.queries().sample_ids(), ElementsAre("q"));
  EXPECT_EQ(seen.centring(), v1::WITHIN_CHAIN);
  EXPECT_EQ(seen.observable().kind(), v1::MARGIN);
  for (const char* text : {"-0.25 ± 0.02", "helps", "-0.5 ± 0.1", "0.125 ± 0.01 (0.105 to 0.145)",
                           "3 members (1 named again, counted once)"}) {
    EXPECT_THAT(ran.out, HasSubstr(text));
  }
}

TEST_F(BifctlTest, AGroupThatCannotBeTakenOutHasNoPrediction) {
  server_.group_influence = [&](const auto&, auto& responses) {
    responses.push_back(SomeAnswer());
    responses.back().mutable_scores(0)->clear_removal();
    return Ok();
  };
  const Ran ran = Bifctl("group-influence --posterior p --query a/q --group others/1");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, Not(HasSubstr(" to ")));
  const Ran quiet = Bifctl("group-influence --posterior p --query a/q --group others/1 --quiet");
  EXPECT_EQ(quiet.out, "q\t-0.25\n");
}

TEST_F(BifctlTest, AGroupIsNamedMemberByMember) {
  for (const char* group : {"", " --group train/*"}) {
    const Ran ran = Bifctl(std::string("group-influence --posterior p --query a/q") + group);
    EXPECT_EQ(ran.exit_code, 2) << ran.out;
  }
  EXPECT_EQ(server_.calls("GroupInfluence"), 0);
}

TEST_F(BifctlTest, AnAnswerThatNeverComesIsAnError) {
  server_.group_influence = [](const auto&, auto&) { return Ok(); };
  const Ran ran = Bifctl("group-influence --posterior p --query a/q --group train/1");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("without an answer"));
}

}  // namespace
}  // namespace bif::client
