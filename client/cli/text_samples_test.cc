#include "client/cli/text_samples.h"

#include <cstring>

#include "client/cli/names.h"
#include "gmock/gmock.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A word is a token: "a" 0, "b" 1, "c" 2, anything else 3; <s> comes first.
constexpr char kWords[] = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
 "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},
 "post_processor":{"type":"TemplateProcessing",
   "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
   "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],
   "special_tokens":{"<s>":{"id":"<s>","ids":[4],"tokens":["<s>"]}}},
 "decoder":null,
 "model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2,"?":3,"<s>":4},"unk_token":"?"}})";

std::vector<int32_t> Tokens(const v1::Sample& sample) {
  const v1::Tensor& tensor = sample.tensors(0);
  std::vector<int32_t> tokens(tensor.data().size() / sizeof(int32_t));
  std::memcpy(tokens.data(), tensor.data().data(), tensor.data().size());
  EXPECT_EQ(tensor.spec().shape(0), static_cast<int64_t>(tokens.size()));
  return tokens;
}

class TextSamplesTest : public BifctlTest {
 protected:
  // Ids and tokens of all samples.
  std::vector<std::pair<std::string, std::vector<int32_t>>> ReadAll(const std::string& text,
                                                                    TextFileOptions options) {
    options.column = *ParseColumn("tokens:int32:?");
    options.special_tokens = false;
    auto samples = OpenTextSamples(Write("text", text), Tokenizer(tokenizer_), options);
    EXPECT_TRUE(samples.ok()) << samples.status();
    std::vector<std::pair<std::string, std::vector<int32_t>>> all;
    while (samples.ok()) {
      const auto sample = (*samples)->Next();
      EXPECT_TRUE(sample.ok()) << sample.status();
      if (!sample.ok() || !sample->has_value()) break;
      all.emplace_back((*sample)->id(), Tokens(**sample));
    }
    left_out_ = (*samples)->left_out();
    cut_ = (*samples)->cut();
    return all;
  }

  // A server that knows a language model's posterior, and keeps what it is asked.
  void ServeLanguageModel() {
    server_.get_posterior = [](const auto&, v1::Posterior& posterior) {
      posterior.set_dataset("datasets/corpus");
      posterior.set_checkpoint("checkpoints/c");
      return Ok();
    };
    server_.get_checkpoint = [](const auto&, v1::Checkpoint& checkpoint) {
      checkpoint.set_program("programs/p");
      return Ok();
    };
    server_.get_program = [this](const auto&, v1::Program& program) {
      program.set_loss(loss_);
      program.set_target_column("tokens");
      program.mutable_sequence()->set_mask_column("mask");
      *program.add_columns() = *ParseColumn("tokens:int64:?");
      *program.add_columns() = *ParseColumn("mask:bool:?");
      return Ok();
    };
    server_.get_dataset = [](const auto&, v1::Dataset& dataset) {
      dataset.set_name("datasets/corpus");
      *dataset.add_columns() = *ParseColumn("tokens:int32:64");
      *dataset.add_columns() = *ParseColumn("mask:bool:64");
      *dataset.add_columns() = *ParseColumn("source:uint8");
      return Ok();
    };
    server_.attribute = [this](const v1::AttributeRequest& request,
                               std::vector<v1::AttributeResponse>& responses) {
      asked_ = request;
      responses.emplace_back().set_final(true);
      return Ok();
    };
  }

  const std::string tokenizer_ = Write("tokenizer.json", kWords);
  int64_t left_out_ = 0, cut_ = 0;
  v1::LossKind loss_ = v1::NEXT_TOKEN;
  v1::AttributeRequest asked_;
};

TEST_F(TextSamplesTest, ALineIsASample) {
  const auto samples =
      ReadAll("a b\n\n  \na\r\nb c d\r\nc b a", {.id_prefix = "line-", .first_id = 5});
  EXPECT_THAT(samples, ElementsAre(testing::Pair("line-5", ElementsAre(0, 1)),
                                   testing::Pair("line-7", ElementsAre(1, 2, 3)),
                                   testing::Pair("line-8", ElementsAre(2, 1, 0))));
  EXPECT_EQ(left_out_, 1) << "the text with one token";
}

TEST_F(TextSamplesTest, OrAParagraphIs) {
  const auto samples = ReadAll("\na b\nc\n\n\na\n", {.paragraphs = true, .min_tokens = 1});
  EXPECT_THAT(samples, ElementsAre(testing::Pair("0", ElementsAre(0, 1, 2)),
                                   testing::Pair("1", ElementsAre(0))));
}

TEST_F(TextSamplesTest, LongTextsAreCut) {
  const auto samples = ReadAll("a b c a\nb c\n", {.max_tokens = 3});
  EXPECT_THAT(samples, ElementsAre(testing::Pair("0", ElementsAre(0, 1, 2)),
                                   testing::Pair("1", ElementsAre(1, 2))));
  EXPECT_EQ(cut_, 1);
}

TEST_F(TextSamplesTest, TokensThatTheColumnCannotHoldAreNamed) {
  const auto wrong = [](const std::string& column, const std::vector<int64_t>& ids) {
    return std::string(TokenTensor(ids, *ParseColumn(column)).status().message());
  };
  EXPECT_TRUE(TokenTensor({0, 255}, *ParseColumn("tokens:uint8:?")).ok());
  EXPECT_THAT(wrong("tokens:uint8:?", {0, 256}), HasSubstr("256"));
  EXPECT_THAT(wrong("tokens:float32:?", {0}), HasSubstr("column tokens"));
  EXPECT_THAT(wrong("tokens:int32", {0}), HasSubstr("one sequence a sample"));
  EXPECT_THAT(wrong("tokens:int32:3", {0, 1}), HasSubstr("takes 3"));
}

TEST_F(TextSamplesTest, AppendTextSendsTokensAndSaysWhatItLeftOut) {
  server_.get_dataset = [](const auto&, v1::Dataset& dataset) {
    dataset.set_name("datasets/corpus");
    *dataset.add_columns() = *ParseColumn("tokens:int32:?");
    return Ok();
  };
  std::vector<v1::Sample> sent;
  server_.append_samples = [&](const std::vector<v1::AppendSamplesRequest>& messages,
                               v1::AppendSamplesResponse& response) {
    for (const auto& message : messages)
      sent.insert(sent.end(), message.samples().begin(), message.samples().end());
    response.set_appended(static_cast<int64_t>(sent.size()));
    response.mutable_dataset()->set_name("datasets/corpus");
    return Ok();
  };
  const std::string text = Write("corpus.txt", "a b\n\nc\nb b b\n");
  const Ran ran = Bifctl("dataset append-text corpus " + text + " --tokenizer " + tokenizer_ +
                         " --min-tokens 3 --max-tokens 3 --id-prefix t");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].id(), "t0");
  EXPECT_THAT(Tokens(sent[0]), ElementsAre(4, 0, 1));
  EXPECT_EQ(sent[1].id(), "t2");
  EXPECT_THAT(Tokens(sent[1]), ElementsAre(4, 1, 1));
  EXPECT_THAT(ran.out, HasSubstr("appended 2 texts"));
  EXPECT_THAT(ran.out, HasSubstr("left out 1 with fewer than 3 tokens"));
  EXPECT_THAT(ran.out, HasSubstr("cut 1 to 3 tokens"));
}

TEST_F(TextSamplesTest, TextDoesNotFillOtherColumns) {
  ServeLanguageModel();
  const std::string text = Write("corpus.txt", "a b\n");
  const Ran ran = Bifctl("dataset append-text corpus " + text + " --tokenizer " + tokenizer_);
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("column mask"));
}

TEST_F(TextSamplesTest, TextsAreQueriesWithAMaskThatHidesNothing) {
  ServeLanguageModel();
  const Ran ran = Bifctl("attribute --posterior p --text a --text b --tokenizer " + tokenizer_);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(asked_.queries().inline__size(), 2);
  const v1::Sample& query = asked_.queries().inline_(1);
  ASSERT_EQ(query.tensors_size(), 2) << "the program does not look at the source";
  EXPECT_THAT(Tokens(query), ElementsAre(4, 1));
  EXPECT_EQ(query.tensors(1).spec().dtype(), v1::BOOL);
  EXPECT_EQ(query.tensors(1).spec().shape(0), 2);
  EXPECT_EQ(query.tensors(1).data(), std::string("\1\1"));
}

TEST_F(TextSamplesTest, TextsAreNoQueriesOfAClassifier) {
  ServeLanguageModel();
  loss_ = v1::CROSS_ENTROPY;
  const Ran ran = Bifctl("attribute --posterior p --text a --tokenizer " + tokenizer_);
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("cross-entropy"));
  EXPECT_EQ(Bifctl("attribute --posterior p --text a").exit_code, 2) << "without a tokenizer";
}

TEST_F(TextSamplesTest, AReportShowsTextsAndTheScoresOfTheirTokens) {
  ServeLanguageModel();
  server_.attribute = [](const auto&, std::vector<v1::AttributeResponse>& answers) {
    v1::AttributeResponse& answer = answers.emplace_back();
    answer.set_final(true);
    v1::QueryRanking& ranking = *answer.add_rankings();
    ranking.set_sample_id("q");
    ranking.add_helpful()->set_sample_id("t");
    ranking.add_harmful()->set_sample_id("u");
    return Ok();
  };
  server_.get_diagnostics = [](const auto&, v1::Diagnostics&) { return Ok(); };
  server_.get_server_info = [](const auto&, v1::ServerInfo&) { return Ok(); };
  server_.get_sample = [](const auto& request, v1::Sample& sample) {
    const int32_t ids[] = {4, request.name().back() == 'q' ? 0 : 1, 2};
    v1::Tensor& tensor = *sample.add_tensors();
    tensor.mutable_spec()->set_name("tokens");
    tensor.mutable_spec()->set_dtype(v1::INT32);
    tensor.mutable_spec()->add_shape(3);
    tensor.set_data(std::string(reinterpret_cast<const char*>(ids), sizeof(ids)));
    return Ok();
  };
  std::vector<std::string> pairs;
  server_.token_influence = [&](const v1::TokenInfluenceRequest& request,
                                std::vector<v1::TokenInfluenceResponse>& blocks) {
    pairs.push_back(request.training().sample_ids(0) + request.query().sample_ids(0));
    EXPECT_TRUE(request.standard_errors());
    for (int row = 0; row < 2; ++row) {
      v1::TokenInfluenceResponse& block = blocks.emplace_back();
      block.set_first_row(1 + row);
      block.set_columns(2);
      if (row == 0) block.set_first_column(1);
      for (const float score : {-0.5f, 0.25f}) {
        block.add_scores(score * (row + 1));
        block.add_standard_errors(0.125f);
      }
      block.add_completion_scores(-0.25f * (row + 1));
      block.add_completion_standard_errors(0.0625f);
    }
    return Ok();
  };
  const std::string page = testing::TempDir() + "/text_report.html";
  const Ran ran = Bifctl("report --posterior p --query asked/q --tokenizer " + tokenizer_ +
                         " --token-maps 1 --out " + page);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(pairs, ElementsAre("tq", "uq"));
  EXPECT_THAT(Read(page), HasSubstr("title=\"c × a: −1 ± 0.1, helps\""));
  EXPECT_THAT(Read(page), HasSubstr("title=\"c: −0.5 ± 0.06, helps\""));
}

TEST_F(TextSamplesTest, ScoresOfTokensAreATableOrAFile) {
  server_.token_influence = [](const v1::TokenInfluenceRequest& request,
                               std::vector<v1::TokenInfluenceResponse>& blocks) {
    EXPECT_EQ(request.training().dataset(), "datasets/d");
    EXPECT_EQ(request.training().sample_ids(0), "t");
    EXPECT_EQ(request.query().sample_ids(0), "q");
    EXPECT_EQ(request.span_begin(), 2u);
    EXPECT_EQ(request.span_end(), 4u);
    EXPECT_EQ(request.estimator(), v1::NORMALIZED_BIF);
    for (int row = 0; row < 3; ++row) {
      v1::TokenInfluenceResponse& block = blocks.emplace_back();
      block.set_first_row(row);
      block.set_columns(2);
      if (row == 0) {
        block.set_rows(3);
        block.set_first_column(2);
        block.mutable_sequence_score()->set_score(-0.5f);
        block.mutable_sequence_score()->set_helps(true);
      }
      for (const float score : {-0.5f, 0.25f}) {
        block.add_scores(score * (row + 1));
        block.add_standard_errors(0.125f);
      }
      block.add_completion_scores(-0.25f * (row + 1));
      block.add_completion_standard_errors(0.0625f);
    }
    return Ok();
  };
  const std::string csv = testing::TempDir() + "/tokens.csv";
  const Ran ran = Bifctl(
      "token-influence --posterior p --training d/t --query d/q --span 2:4 --estimator normalized "
      "--out " +
      csv);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("POSITION"));
  EXPECT_THAT(Read(csv), HasSubstr("training_position,query_position,score,standard_error\n"
                                   "1,2,-0.5,0.125\n1,3,0.25,0.125\n2,2,-1,0.125\n"));
  EXPECT_EQ(Bifctl("token-influence --posterior p --training d/t --query d/q --span x").exit_code,
            2);
}

}  // namespace
}  // namespace bif::client
