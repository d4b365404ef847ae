// Scores from slopes over gRPC: what is asked arrives, what it rests on comes back, and refusals
// name the field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kRows = 12;

v1::AttributeRequest Ask(const std::string& posterior, v1::Estimator estimator) {
  v1::AttributeRequest request;
  request.set_posterior(posterior);
  *request.mutable_queries()->add_inline_() = RegressionSample(100, "");
  request.set_top_k(3);
  request.set_estimator(estimator);
  return request;
}

struct Answers {
  std::vector<v1::AttributeResponse> messages;
  CallEnd end;
};
Answers AllOf(TestServer& server, const v1::AttributeRequest& request) {
  Answers answers;
  auto stream = server.Read("bif.v1.Attribution/Attribute", request);
  for (v1::AttributeResponse message; stream->Next(message);) answers.messages.push_back(message);
  answers.end = stream->Finish();
  return answers;
}

TEST(PathwiseService, AnAnswerFromSlopesSaysWhatItRestsOn) {
  TestServer server;
  v1::AttributeRequest request = Ask(MakePosterior(server, kRows), v1::PATHWISE);
  request.mutable_pathwise()->set_draws(24);
  const Answers answers = AllOf(server, request);
  ASSERT_TRUE(answers.end.ok()) << answers.end;
  const v1::AttributeResponse& last = answers.messages.back();
  ASSERT_TRUE(last.final());
  ASSERT_EQ(last.rankings_size(), 1);
  EXPECT_EQ(last.rankings(0).helpful_size(), 3);
  EXPECT_GT(last.rankings(0).helpful(0).standard_error(), 0);
  EXPECT_EQ(last.slope_draws_done(), 24u);
  EXPECT_EQ(last.slope_draws_total(), 24u);
  EXPECT_EQ(last.provenance().estimator(), v1::PATHWISE);
  const v1::PathwiseProvenance& pathwise = last.provenance().pathwise();
  EXPECT_EQ(pathwise.draws(), 24u);
  EXPECT_EQ(pathwise.stretches(), 2u) << "one a chain";
  EXPECT_GT(pathwise.tangent_burn_in_steps(), 0u);
  EXPECT_GT(pathwise.bias_bound(), 0);
  EXPECT_LE(pathwise.bias_bound(), 0.02);
  EXPECT_EQ(pathwise.hessian(), v1::EXACT);
  EXPECT_EQ(pathwise.slopes(), v1::EXACT);
  EXPECT_GT(pathwise.forward_passes(), 0u);
  EXPECT_EQ(pathwise.left_out_size(), 0);
}

TEST(PathwiseService, MixedNamesTheShareThatDisagrees) {
  TestServer server;
  const Answers answers = AllOf(server, Ask(MakePosterior(server, kRows), v1::MIXED));
  ASSERT_TRUE(answers.end.ok()) << answers.end;
  const v1::PathwiseProvenance& pathwise = answers.messages.back().provenance().pathwise();
  ASSERT_EQ(pathwise.share_that_disagree_size(), 1);
  ASSERT_EQ(pathwise.pathwise_weight_size(), 1);
  EXPECT_GT(pathwise.pathwise_weight(0), 0);
}

TEST(PathwiseService, ARefinedTopKComesInStages) {
  TestServer server;
  v1::AttributeRequest request = Ask(MakePosterior(server, kRows), v1::BIF);
  request.mutable_refine()->set_estimator(v1::MIXED);
  request.mutable_refine()->set_forward_passes(5'000'000);
  const Answers answers = AllOf(server, request);
  ASSERT_TRUE(answers.end.ok()) << answers.end;
  const v1::AttributeResponse& last = answers.messages.back();
  ASSERT_TRUE(last.final());
  ASSERT_TRUE(last.rankings(0).has_refined());
  EXPECT_GT(last.rankings(0).refined().refined(), 0u);
  EXPECT_GT(last.budget_used(), 0);
  EXPECT_LE(last.budget_used(), 1);
  EXPECT_LE(last.provenance().pathwise().forward_passes(), 5'000'000u);
  EXPECT_EQ(last.provenance().estimator(), v1::BIF);
}

TEST(PathwiseService, AScoreMatrixOfSlopesGoesOnAfterABreak) {
  TestServer server;
  v1::ScoreMatrixRequest request;
  request.set_posterior(MakePosterior(server, 700));
  *request.mutable_queries()->add_inline_() = RegressionSample(1000, "");
  request.set_estimator(v1::PATHWISE);
  request.set_standard_errors(true);
  request.mutable_pathwise()->set_draws(12);
  std::vector<v1::ScoreMatrixResponse> whole;
  auto stream = server.Read("bif.v1.Attribution/ScoreMatrix", request);
  for (v1::ScoreMatrixResponse block; stream->Next(block);) whole.push_back(block);
  ASSERT_TRUE(stream->Finish().ok());
  ASSERT_GT(whole.size(), 1u);
  EXPECT_EQ(whole[0].provenance().pathwise().draws(), 12u);
  request.set_resume_token(whole[0].resume_token());
  std::vector<v1::ScoreMatrixResponse> rest;
  stream = server.Read("bif.v1.Attribution/ScoreMatrix", request);
  for (v1::ScoreMatrixResponse block; stream->Next(block);) rest.push_back(block);
  ASSERT_TRUE(stream->Finish().ok());
  ASSERT_EQ(rest.size(), whole.size() - 1);
  for (size_t i = 0; i < rest.size(); ++i)
    EXPECT_EQ(rest[i].SerializeAsString(), whole[i + 1].SerializeAsString());
}

TEST(PathwiseService, BadRequestsAreRefusedByField) {
  TestServer server;
  const std::string posterior = MakePosterior(server, kRows);
  const auto refused = [&](v1::Estimator estimator, auto change) {
    v1::AttributeRequest request = Ask(posterior, estimator);
    change(request);
    const CallEnd end = AllOf(server, request).end;
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << end;
    return end.field;
  };
  EXPECT_EQ(refused(v1::BIF, [](auto& r) { r.mutable_pathwise()->set_draws(5); }),
            "pathwise.draws");
  EXPECT_EQ(refused(v1::PATHWISE, [](auto& r) { r.mutable_pathwise()->set_draws(1'000'000); }),
            "pathwise.draws");
  EXPECT_EQ(refused(v1::BIF, [](auto& r) { r.mutable_refine(); }), "refine");
  EXPECT_EQ(
      refused(v1::BIF,
              [](auto& r) { r.mutable_refine()->set_estimator(static_cast<v1::Estimator>(99)); }),
      "refine.estimator");
  EXPECT_EQ(refused(v1::BIF,
                    [](auto& r) {
                      r.mutable_refine()->set_estimator(v1::BIF);
                      r.mutable_refine()->set_forward_passes(1'000'000);
                    }),
            "refine.estimator");
  EXPECT_EQ(refused(v1::BIF, [](auto& r) { r.mutable_refine()->mutable_time()->set_seconds(-1); }),
            "refine.time");
  EXPECT_EQ(refused(v1::BIF, [](auto& r) { r.mutable_refine()->set_forward_passes(3); }),
            "refine.forward_passes");
  v1::TokenInfluenceRequest tokens;
  tokens.set_posterior(posterior);
  tokens.set_estimator(v1::PATHWISE);
  auto stream = server.Read("bif.v1.Attribution/TokenInfluence", tokens);
  for (v1::TokenInfluenceResponse message; stream->Next(message);) {
  }
  EXPECT_EQ(stream->Finish().field, "estimator");
}

TEST(PathwiseService, AProgramWithoutSecondDerivativesIsUnimplementedWithItsOperator) {
  TestServer server;
  const std::string posterior = MakePosterior(server, kRows);
  server.engine().hooks().on_check_tangents = [] {
    return absl::UnimplementedError("aten::fancy has no second derivative");
  };
  const CallEnd end = AllOf(server, Ask(posterior, v1::PATHWISE)).end;
  EXPECT_EQ(end.code, absl::StatusCode::kUnimplemented);
  EXPECT_THAT(end.message, HasSubstr("aten::fancy"));
}

}  // namespace
}  // namespace bif::server::testing
