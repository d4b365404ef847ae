// A language model through the real daemon: sequences of different lengths, a mask, truncation, and
// what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>

#include "tests/integration/small_classifier.h"
#include "tests/integration/small_language_model.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;

constexpr int kRows = 40;
constexpr uint32_t kMaxTokens = 12;

class LanguageModelDaemon : public ::testing::Test {
 protected:
  std::unique_ptr<DaemonProcess> Start() {
    return std::make_unique<DaemonProcess>(scratch_ / "data", std::vector<std::string>{});
  }
  static std::vector<v1::Sample> Training() {
    std::vector<v1::Sample> samples;
    for (int row = 0; row < kRows; ++row)
      samples.push_back(SequenceSample("s" + std::to_string(row), SequenceTokens(row)));
    return samples;
  }
  static v1::AttributeRequest Ask(const std::string& posterior, const TokenIds& tokens) {
    v1::AttributeRequest request;
    request.set_posterior(posterior);
    request.set_top_k(5);
    *request.mutable_queries()->add_inline_() = SequenceSample("", tokens);
    return request;
  }

 private:
  TempDir scratch_;
};

TEST_F(LanguageModelDaemon, SequencesAreSampledTracedAndAttributed) {
  auto daemon = Start();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  std::string posterior;
  std::vector<uint32_t> bits;
  {
    client::Client client(ClientOf(*daemon));
    const std::string checkpoint = MakeLanguageModel(client, kMaxTokens);
    const auto programs = client.ListPrograms({});
    ASSERT_EQ(programs->programs_size(), 1);
    EXPECT_EQ(programs->programs(0).sequence().max_tokens(), kMaxTokens);
    EXPECT_EQ(programs->programs(0).sequence().mask_column(), "mask");
    EXPECT_EQ(programs->programs(0).sequence().reduction(), v1::MEAN_TOKENS);
    EXPECT_EQ(programs->programs(0).classes(), 11u);
    const std::string dataset = MakeSequences(client, "train", Training());
    posterior = SamplePosterior(client, LanguageModelPosterior(checkpoint, dataset));
    bits = TraceBits(client, posterior);
    EXPECT_EQ(bits.size(), kRows * 2u * 10u);
    const auto answer = client.Attribute(Ask(posterior, {1, 2, 3, 4, 5, 6, 7}));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->rows_evaluated(), 1u);
    ASSERT_EQ(answer->rankings_size(), 1);
  }
  daemon->Kill();
  daemon = Start();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  EXPECT_EQ(TraceBits(client, posterior), bits);
}

TEST_F(LanguageModelDaemon, APosteriorOfTokensScoresThemWithoutEvaluatingAny) {
  auto daemon = Start();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  const std::string checkpoint = MakeLanguageModel(client, kMaxTokens);
  const std::string dataset = MakeSequences(client, "train", Training());
  v1::CreatePosteriorRequest create = LanguageModelPosterior(checkpoint, dataset);
  create.set_granularity(v1::TOKEN);
  create.set_token_trace_type(v1::TOKEN_FP16);
  const std::string posterior = SamplePosterior(client, create);
  EXPECT_EQ(client.GetPosterior(posterior)->granularity(), v1::TOKEN);
  EXPECT_EQ(client.GetPosterior(posterior)->token_trace_type(), v1::TOKEN_FP16);

  v1::TokenInfluenceRequest request;
  request.set_posterior(posterior);
  for (v1::SampleSet* set : {request.mutable_training(), request.mutable_query()})
    set->set_dataset(dataset);
  request.mutable_training()->add_sample_ids(Training()[4].id());
  request.mutable_query()->add_sample_ids(Training()[9].id());
  request.set_standard_errors(true);
  v1::TokenInfluenceResponse matrix;
  const absl::Status status =
      client.TokenInfluence(request, [&](const v1::TokenInfluenceResponse& block) {
        matrix.MergeFrom(block);
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(matrix.sequences_evaluated(), 0u);
  EXPECT_GT(matrix.rows(), 0u);
  ASSERT_EQ(matrix.scores_size(), static_cast<int>(matrix.rows() * matrix.columns()));
  EXPECT_EQ(matrix.standard_errors_size(), matrix.scores_size());
  double sum = 0;
  for (const float score : matrix.scores()) sum += static_cast<double>(score);
  EXPECT_NEAR(sum, matrix.sequence_score().score(),
              1e-5 * std::abs(matrix.sequence_score().score()) + 1e-9);

  request.mutable_query()->set_dataset("");
  request.mutable_query()->clear_sample_ids();
  *request.mutable_query()->add_inline_() = SequenceSample("", {1});
  EXPECT_EQ(client.TokenInfluence(request, [](const auto&) { return absl::OkStatus(); }).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LanguageModelDaemon, BadSequencesAreRefusedByNameAndStoreNothing) {
  auto daemon = Start();
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  const std::string checkpoint = MakeLanguageModel(client, kMaxTokens);
  const auto refused = [&](const std::string& id, const TokenIds& tokens, const std::string& says) {
    std::vector<v1::Sample> samples = Training();
    samples.push_back(SequenceSample("odd", tokens));
    const std::string dataset = MakeSequences(client, id, samples);
    const auto operation = client.CreatePosterior(LanguageModelPosterior(checkpoint, dataset));
    EXPECT_EQ(operation.status().code(), absl::StatusCode::kInvalidArgument) << operation.status();
    EXPECT_THAT(std::string(operation.status().message()), HasSubstr("sample \"odd\""));
    EXPECT_THAT(std::string(operation.status().message()), HasSubstr(says));
  };
  refused("unknown-token", {1, 2, 11}, "token 11 at position 2");
  refused("single", {1}, "1 token");
  EXPECT_EQ(client.ListPosteriors({})->posteriors_size(), 0);

  const std::string dataset = MakeSequences(client, "train", Training());
  const std::string posterior =
      SamplePosterior(client, LanguageModelPosterior(checkpoint, dataset));
  for (const TokenIds& tokens : {TokenIds{5}, TokenIds{1, 77}}) {
    const auto answer = client.Attribute(Ask(posterior, tokens));
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument) << answer.status();
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr("token"));
  }
}

}  // namespace
}  // namespace bif::testing
