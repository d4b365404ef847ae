// Attribution over gRPC: streams to their end, asked twice, cancelled, at once; and refusals with
// the field at fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {
namespace {

namespace lro = ::google::longrunning;
using ::testing::HasSubstr;

constexpr int kRows = 12;

v1::AttributeRequest Ask(const std::string& posterior, int row, uint32_t top_k) {
  v1::AttributeRequest request;
  request.set_posterior(posterior);
  *request.mutable_queries()->add_inline_() = RegressionSample(row, "");
  request.set_top_k(top_k);
  return request;
}

// The last message of a whole stream, which must be the final answer.
v1::AttributeResponse Answer(TestServer& server, const v1::AttributeRequest& request) {
  auto stream = server.Read("bif.v1.Attribution/Attribute", request);
  v1::AttributeResponse last;
  for (v1::AttributeResponse message; stream->Next(message);) last = message;
  const CallEnd end = stream->Finish();
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_TRUE(last.final());
  return last;
}

CallEnd Refusal(TestServer& server, const v1::AttributeRequest& request) {
  auto stream = server.Read("bif.v1.Attribution/Attribute", request);
  for (v1::AttributeResponse message; stream->Next(message);) {
  }
  return stream->Finish();
}

TEST(AttributionService, AnAnswerRanksBothEndsAndSaysWhatItRestsOn) {
  TestServer server;
  const std::string posterior = MakePosterior(server, kRows);
  const v1::AttributeResponse answer = Answer(server, Ask(posterior, 100, 3));
  ASSERT_EQ(answer.rankings_size(), 1);
  const v1::QueryRanking& ranking = answer.rankings(0);
  ASSERT_EQ(ranking.helpful_size(), 3);
  ASSERT_EQ(ranking.harmful_size(), 3);
  EXPECT_LE(ranking.helpful(0).score(), ranking.helpful(1).score()) << "negative BIF helps";
  EXPECT_GE(ranking.harmful(0).score(), ranking.harmful(1).score());
  EXPECT_GT(ranking.helpful(0).standard_error(), 0);
  EXPECT_EQ(answer.provenance().posterior(), posterior);
  EXPECT_EQ(answer.provenance().estimator(), v1::BIF);
  EXPECT_EQ(answer.provenance().centring(), v1::POOLED);
  EXPECT_EQ(answer.provenance().chains(), 2u);
  EXPECT_EQ(answer.provenance().draws_per_chain(), 12u);
}

TEST(AttributionService, AskingAgainEvaluatesNothing) {
  TestServer server;
  const v1::AttributeRequest request = Ask(MakePosterior(server, kRows), 100, 3);
  const v1::AttributeResponse first = Answer(server, request);
  EXPECT_EQ(first.rows_evaluated(), 1u);
  const int64_t rows = server.engine().hooks().observed_rows;
  const v1::AttributeResponse second = Answer(server, request);
  EXPECT_EQ(second.rows_evaluated(), 0u);
  EXPECT_EQ(server.engine().hooks().observed_rows, rows);
  EXPECT_EQ(second.rankings(0).SerializeAsString(), first.rankings(0).SerializeAsString());
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_rows_evaluated_total 1"));
}

TEST(AttributionService, BadRequestsAreRefusedByField) {
  TestServer server;
  const v1::AttributeRequest good = Ask(MakePosterior(server, kRows), 100, 3);
  const auto with = [&](auto change) {
    v1::AttributeRequest request = good;
    change(request);
    return request;
  };
  const struct {
    v1::AttributeRequest request;
    absl::StatusCode code;
    const char* field;
  } cases[] = {
      {with([](auto& r) { r.set_top_k(kRows + 1); }), absl::StatusCode::kInvalidArgument, "top_k"},
      {with([](auto& r) { r.set_estimator(static_cast<v1::Estimator>(42)); }),
       absl::StatusCode::kInvalidArgument, "estimator"},
      {with([](auto& r) { r.set_centring(static_cast<v1::Centring>(42)); }),
       absl::StatusCode::kInvalidArgument, "centring"},
      {with([](auto& r) { r.mutable_observable()->set_logit_index(3); }),
       absl::StatusCode::kInvalidArgument, "observable.logit_index"},
      {with([](auto& r) { r.mutable_queries()->set_dataset("datasets/train"); }),
       absl::StatusCode::kInvalidArgument, "queries"},
      {with([](auto& r) {
         r.mutable_queries()->clear_inline_();
         r.mutable_queries()->add_sample_ids("1");
       }),
       absl::StatusCode::kInvalidArgument, "queries.dataset"},
      {with([](auto& r) { r.set_posterior("posteriors/000000000000"); }),
       absl::StatusCode::kNotFound, ""},
  };
  for (const auto& c : cases) {
    const CallEnd end = Refusal(server, c.request);
    EXPECT_EQ(end.code, c.code) << c.field << ": " << end;
    EXPECT_EQ(end.field, c.field) << end;
  }
}

TEST(AttributionService, ManyClientsAtOnceGetTheSameAnswers) {
  TestServer server;
  const std::string posterior = MakePosterior(server, kRows);
  std::vector<std::string> answers(8);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < answers.size(); ++i) {
    clients.emplace_back([&, i] {
      answers[i] = Answer(server, Ask(posterior, 100 + static_cast<int>(i % 2), 3))
                       .rankings(0)
                       .SerializeAsString();
    });
  }
  for (std::thread& client : clients) client.join();
  for (size_t i = 2; i < answers.size(); ++i) EXPECT_EQ(answers[i], answers[i % 2]);
  EXPECT_NE(answers[0], answers[1]);
}

TEST(AttributionService, TheScoreMatrixComesInBlocksThatCoverAllCandidatesOnce) {
  TestServer server;
  v1::ScoreMatrixRequest request;
  request.set_posterior(MakePosterior(server, 700));
  *request.mutable_queries()->add_inline_() = RegressionSample(1000, "");
  *request.mutable_queries()->add_inline_() = RegressionSample(1001, "");
  request.set_standard_errors(true);
  auto stream = server.Read("bif.v1.Attribution/ScoreMatrix", request);
  uint64_t candidates = 0;
  int blocks = 0;
  for (v1::ScoreMatrixResponse block; stream->Next(block); ++blocks) {
    EXPECT_EQ(block.first_candidate(), candidates);
    EXPECT_EQ(block.scores_size(), block.candidate_ids_size() * 2);
    EXPECT_EQ(block.standard_errors_size(), block.scores_size());
    EXPECT_EQ(block.has_provenance(), blocks == 0);
    candidates += static_cast<uint64_t>(block.candidate_ids_size());
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(candidates, 700u);
  EXPECT_GT(blocks, 1);
}

// Every prefix of a stream's blocks, and the stream that its last token opens, make the whole.
template <typename Request, typename Response>
void ExpectResumable(TestServer& server, const std::string& method, Request request) {
  const auto blocks_of = [&](const Request& asked) {
    std::vector<Response> blocks;
    auto stream = server.Read(method, asked);
    for (Response block; stream->Next(block);) blocks.push_back(block);
    const CallEnd end = stream->Finish();
    EXPECT_TRUE(end.ok()) << method << ": " << end;
    return blocks;
  };
  const std::vector<Response> whole = blocks_of(request);
  ASSERT_GT(whole.size(), 2u) << method;
  for (size_t sent = 1; sent <= whole.size(); ++sent) {
    request.set_resume_token(whole[sent - 1].resume_token());
    const std::vector<Response> rest = blocks_of(request);
    ASSERT_EQ(rest.size(), whole.size() - sent) << method;
    for (size_t i = 0; i < rest.size(); ++i)
      EXPECT_EQ(rest[i].SerializeAsString(), whole[sent + i].SerializeAsString()) << method;
  }
}

CallEnd EndOfStream(TestServer& server, const std::string& method, const MessageLite& request,
                    MessageLite& message) {
  auto stream = server.Read(method, request);
  while (stream->Next(message)) {
  }
  return stream->Finish();
}

TEST(AttributionService, AStreamThatWasCutOffGoesOnAfterAnyOfItsBlocks) {
  TestServer server;
  const std::string posterior = MakePosterior(server, 700);
  v1::ScoreMatrixRequest matrix;
  matrix.set_posterior(posterior);
  *matrix.mutable_queries()->add_inline_() = RegressionSample(1000, "");
  matrix.set_standard_errors(true);
  ExpectResumable<v1::ScoreMatrixRequest, v1::ScoreMatrixResponse>(
      server, "bif.v1.Attribution/ScoreMatrix", matrix);
  v1::SelfInfluenceRequest self;
  self.set_posterior(posterior);
  ExpectResumable<v1::SelfInfluenceRequest, v1::SelfInfluenceResponse>(
      server, "bif.v1.Attribution/SelfInfluence", self);
  v1::ExportTracesRequest traces;
  traces.set_posterior(posterior);
  traces.mutable_samples()->set_dataset("datasets/train");
  ExpectResumable<v1::ExportTracesRequest, v1::ExportTracesResponse>(
      server, "bif.v1.Attribution/ExportTraces", traces);
}

TEST(AttributionService, AResumeTokenIsOfItsRequestAndOfTheSamplesThatAnsweredIt) {
  TestServer server;
  const std::string method = "bif.v1.Attribution/SelfInfluence";
  v1::SelfInfluenceRequest request;
  request.set_posterior(MakePosterior(server, 700));
  v1::SelfInfluenceResponse block;
  ASSERT_TRUE(server.Read(method, request)->Next(block));
  request.set_resume_token(block.resume_token());
  EXPECT_TRUE(EndOfStream(server, method, request, block).ok());

  v1::SelfInfluenceRequest other = request;
  other.set_centring(v1::WITHIN_CHAIN);
  EXPECT_EQ(EndOfStream(server, method, other, block).field, "resume_token");
  v1::ExportTracesRequest another_method;
  another_method.set_posterior(request.posterior());
  another_method.mutable_samples()->set_dataset("datasets/train");
  another_method.set_resume_token(request.resume_token());
  v1::ExportTracesResponse traces;
  EXPECT_EQ(EndOfStream(server, "bif.v1.Attribution/ExportTraces", another_method, traces).field,
            "resume_token");
  other = request;
  other.set_resume_token("AAAA");
  EXPECT_EQ(EndOfStream(server, method, other, block).field, "resume_token");

  v1::DeleteSamplesRequest remove;
  remove.set_dataset("datasets/train");
  remove.add_sample_ids("699");
  v1::DeleteSamplesResponse removed;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/DeleteSamples", remove, removed).ok());
  EXPECT_EQ(EndOfStream(server, method, request, block).field, "resume_token")
      << "another list of samples would answer now";
}

TEST(AttributionService, AClientThatLeavesAStreamDoesNoHarm) {
  TestServer server;
  v1::ExportTracesRequest request;
  request.set_posterior(MakePosterior(server, 700));
  request.mutable_samples()->set_dataset("datasets/train");
  {
    auto stream = server.Read("bif.v1.Attribution/ExportTraces", request);
    v1::ExportTracesResponse block;
    ASSERT_TRUE(stream->Next(block));
    stream->Cancel();
    EXPECT_EQ(stream->Finish().code, absl::StatusCode::kCancelled);
  }
  EXPECT_TRUE(Answer(server, Ask(request.posterior(), 1000, 3)).final());
}

TEST(AttributionService, AReaderThatStartsLateGetsEverythingAndOthersNeedNotWaitForIt) {
  TestServer server;
  v1::ExportTracesRequest request;
  request.set_posterior(MakePosterior(server, 3000));
  request.mutable_samples()->set_dataset("datasets/train");
  auto late = server.Read("bif.v1.Attribution/ExportTraces", request);
  EXPECT_TRUE(Answer(server, Ask(request.posterior(), 5000, 3)).final());
  int samples = 0;
  int blocks = 0;
  for (v1::ExportTracesResponse block; late->Next(block); ++blocks)
    samples += block.sample_ids_size();
  EXPECT_TRUE(late->Finish().ok());
  EXPECT_EQ(samples, 3000);
  EXPECT_GT(blocks, 8) << "more than may wait unsent";
}

TEST(AttributionService, ExportedTracesAndSelfInfluenceSpeakOfTheSameLosses) {
  TestServer server;
  v1::ExportTracesRequest request;
  request.set_posterior(MakePosterior(server, kRows));
  request.mutable_samples()->set_dataset("datasets/train");
  auto traces = server.Read("bif.v1.Attribution/ExportTraces", request);
  v1::ExportTracesResponse block;
  ASSERT_TRUE(traces->Next(block));
  ASSERT_EQ(block.sample_ids_size(), kRows);
  ASSERT_EQ(block.values_size(), kRows * 24);

  v1::SelfInfluenceRequest self;
  self.set_posterior(request.posterior());
  auto variances = server.Read("bif.v1.Attribution/SelfInfluence", self);
  v1::SelfInfluenceResponse answer;
  ASSERT_TRUE(variances->Next(answer));
  ASSERT_EQ(answer.sample_ids_size(), kRows);
  for (int row = 0; row < kRows; ++row) {
    double sum = 0;
    double squares = 0;
    for (int t = 0; t < 24; ++t) sum += block.values(row * 24 + t);
    for (int t = 0; t < 24; ++t)
      squares += (block.values(row * 24 + t) - sum / 24) * (block.values(row * 24 + t) - sum / 24);
    EXPECT_NEAR(answer.mean_losses(row), sum / 24, 1e-5 * (1 + sum / 24)) << row;
    EXPECT_NEAR(answer.variances(row), squares / 23, 1e-4 * (squares / 23)) << row;
  }
}

TEST(AttributionService, AGroupIsAnsweredForEveryQueryAndRefusedByField) {
  TestServer server;
  v1::GroupInfluenceRequest request;
  request.set_posterior(MakePosterior(server, kRows));
  request.mutable_group()->set_dataset("datasets/train");
  for (const char* id : {"1", "4", "1"}) request.mutable_group()->add_sample_ids(id);
  for (const int row : {100, 101})
    *request.mutable_queries()->add_inline_() = RegressionSample(row, "");
  const std::string method = "bif.v1.Attribution/GroupInfluence";
  v1::GroupInfluenceResponse answer;
  {
    auto stream = server.Read(method, request);
    ASSERT_TRUE(stream->Next(answer));
    v1::GroupInfluenceResponse more;
    EXPECT_FALSE(stream->Next(more));
    EXPECT_TRUE(stream->Finish().ok());
  }
  ASSERT_EQ(answer.scores_size(), 2);
  EXPECT_EQ(answer.members(), 2u);
  EXPECT_EQ(answer.repeated_ids(), 1u);
  EXPECT_EQ(answer.rows_evaluated(), 2u);
  EXPECT_EQ(answer.provenance().posterior(), request.posterior());
  EXPECT_EQ(answer.provenance().estimator(), v1::BIF);

  // The sum of two rows of the matrix, and the prediction that follows from it.
  v1::ScoreMatrixRequest matrix;
  matrix.set_posterior(request.posterior());
  *matrix.mutable_queries() = request.queries();
  matrix.mutable_candidates()->set_dataset("datasets/train");
  matrix.mutable_candidates()->add_sample_ids("1");
  matrix.mutable_candidates()->add_sample_ids("4");
  v1::ScoreMatrixResponse rows;
  ASSERT_TRUE(server.Read("bif.v1.Attribution/ScoreMatrix", matrix)->Next(rows));
  ASSERT_EQ(rows.scores_size(), 4);
  for (int q = 0; q < 2; ++q) {
    const double sum = static_cast<double>(rows.scores(q)) + rows.scores(2 + q);
    const double scale = std::abs(rows.scores(q)) + std::abs(rows.scores(2 + q));
    const v1::GroupScore& score = answer.scores(q);
    EXPECT_EQ(score.query(), static_cast<uint32_t>(q));
    EXPECT_NEAR(score.score().score(), sum, 1e-5 * scale);
    EXPECT_NEAR(score.removal().change(), -FastSettings().nbeta() / kRows * sum, 1e-4 * scale);
    EXPECT_LE(score.removal().low(), score.removal().high());
  }

  const auto field_of = [&](auto change) {
    v1::GroupInfluenceRequest bad = request;
    change(bad);
    return EndOfStream(server, method, bad, answer).field;
  };
  EXPECT_EQ(field_of([](auto& r) { r.mutable_group()->clear_sample_ids(); }), "group.sample_ids");
  EXPECT_EQ(field_of([](auto& r) { r.mutable_group()->clear_dataset(); }), "group.dataset");
  EXPECT_EQ(field_of([](auto& r) { r.set_centring(static_cast<v1::Centring>(99)); }), "centring");
  EXPECT_EQ(field_of([](auto& r) { r.mutable_observable()->set_position(3); }),
            "observable.position");
  request.mutable_group()->add_sample_ids("nobody");
  EXPECT_EQ(EndOfStream(server, method, request, answer).code, absl::StatusCode::kNotFound);
}

TEST(AttributionService, TracedSamplesNeedNoEvaluationLater) {
  TestServer server;
  v1::TraceSamplesRequest request;
  request.set_posterior(MakePosterior(server, kRows));
  request.set_dataset(MakeDataset(server, "later", 5));
  lro::Operation operation;
  const CallEnd end = server.Call("bif.v1.Attribution/TraceSamples", request, operation);
  ASSERT_TRUE(end.ok()) << end;
  operation = WaitFor(server, operation.name());
  v1::TraceSamplesResponse traced;
  ASSERT_TRUE(operation.response().UnpackTo(&traced)) << operation.error().message();
  EXPECT_EQ(traced.traced(), 5);
  v1::TraceProgress progress;
  EXPECT_TRUE(operation.metadata().UnpackTo(&progress));

  v1::AttributeRequest question = Ask(request.posterior(), 0, 3);
  question.mutable_queries()->clear_inline_();
  question.mutable_queries()->set_dataset(request.dataset());
  EXPECT_EQ(Answer(server, question).rows_evaluated(), 0u);
}

}  // namespace
}  // namespace bif::server::testing
