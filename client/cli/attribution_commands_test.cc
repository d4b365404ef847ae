// bifctl on scores and traces, and its report.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void AnswerWithOneRanking(FakeServer& server, v1::AttributeRequest* seen) {
  server.attribute = [seen](const v1::AttributeRequest& request,
                            std::vector<v1::AttributeResponse>& responses) {
    if (seen != nullptr) *seen = request;
    auto& response = responses.emplace_back();
    response.set_final(true);
    auto& ranking = *response.add_rankings();
    ranking.set_sample_id("4");
    auto& helpful = *ranking.add_helpful();
    helpful.set_sample_id("11");
    helpful.set_score(-0.03f);
    helpful.set_standard_error(0.002f);
    helpful.set_helps(true);
    helpful.set_distinguishable(true);
    auto& harmful = *ranking.add_harmful();
    harmful.set_sample_id("13");
    harmful.set_score(0.001f);
    harmful.set_standard_error(0.002f);
    return Ok();
  };
}

TEST_F(BifctlTest, AttributeShowsBothEndsInWords) {
  v1::AttributeRequest seen;
  AnswerWithOneRanking(server_, &seen);
  const Ran ran = Bifctl(
      "attribute --posterior p1 --query test/4 test/5 --top-k 3 --estimator normalized-bif "
      "--centring within-chain "
      "--observable logit:2 --candidates other/*");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.posterior(), "posteriors/p1");
  EXPECT_EQ(seen.queries().dataset(), "datasets/test");
  EXPECT_EQ(seen.queries().sample_ids_size(), 2);
  EXPECT_EQ(seen.candidates().dataset(), "datasets/other");
  EXPECT_EQ(seen.estimator(), v1::NORMALIZED_BIF);
  EXPECT_EQ(seen.centring(), v1::WITHIN_CHAIN);
  EXPECT_EQ(seen.observable().kind(), v1::LOGIT);
  EXPECT_EQ(seen.observable().logit_index(), 2u);
  EXPECT_EQ(seen.top_k(), 3u);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("-0.03 ± 0.002"), HasSubstr("helps"), HasSubstr("hurts ?")));
  EXPECT_THAT(Bifctl("attribute --posterior p1 --query test/4 --json").out,
              HasSubstr("\"sampleId\": \"11\""));
  EXPECT_EQ(Bifctl("attribute --posterior p1 --query test/4 -q").out,
            "4\thelpful\t11\n4\tharmful\t13\n");
}

TEST_F(BifctlTest, InlineQueriesTakeTheColumnsOfTheTrainingData) {
  v1::AttributeRequest seen;
  AnswerWithOneRanking(server_, &seen);
  server_.get_posterior = [](const auto&, v1::Posterior& posterior) {
    posterior.set_dataset("datasets/train");
    return Ok();
  };
  server_.get_dataset = [](const auto&, v1::Dataset& dataset) {
    auto& column = *dataset.add_columns();
    column.set_name("x");
    column.set_dtype(v1::FLOAT32);
    column.add_shape(2);
    return Ok();
  };
  const Ran ran =
      Bifctl("attribute --posterior p1 --query-file " + Write("q.jsonl", "{\"x\": [0.5, 1]}\n"));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(seen.queries().inline__size(), 1);
  EXPECT_EQ(seen.queries().inline_(0).id(), "");
  EXPECT_EQ(seen.queries().inline_(0).tensors(0).data().size(), 8u);
}

TEST_F(BifctlTest, SelfInfluenceMergesBlocksAndSortsByVariance) {
  server_.self_influence = [](const auto&, std::vector<v1::SelfInfluenceResponse>& blocks) {
    for (const auto& [id, variance] : {std::pair{"a", 0.1f}, std::pair{"b", 0.9f}}) {
      auto& block = blocks.emplace_back();
      block.add_sample_ids(id);
      block.add_variances(variance);
      block.add_standard_errors(0.01f);
      block.add_mean_losses(1);
      block.add_anchor_losses(2);
    }
    return Ok();
  };
  EXPECT_EQ(Bifctl("self-influence --posterior p1 -q").out, "b\na\n");
  EXPECT_EQ(Bifctl("self-influence --posterior p1 -q --top-k 1").out, "b\n");
  EXPECT_THAT(Bifctl("self-influence --posterior p1 --json").out, HasSubstr("\"anchorLosses\""));
  EXPECT_EQ(Bifctl("self-influence --posterior p1 --out -").out,
            "sample,variance,standard_error,mean_loss,anchor_loss\n"
            "a,0.100000001,0.00999999978,1,2\nb,0.899999976,0.00999999978,1,2\n");
}

TEST_F(BifctlTest, ColumnsOfDifferentLengthsAreNotTrusted) {
  server_.self_influence = [](const auto&, std::vector<v1::SelfInfluenceResponse>& blocks) {
    blocks.emplace_back().add_sample_ids("a");
    return Ok();
  };
  EXPECT_EQ(Bifctl("self-influence --posterior p1").exit_code, 1);
}

TEST_F(BifctlTest, ScoreMatrixGoesToCsvAndNpy) {
  server_.score_matrix = [](const v1::ScoreMatrixRequest& request,
                            std::vector<v1::ScoreMatrixResponse>& blocks) {
    EXPECT_TRUE(request.standard_errors());
    auto& block = blocks.emplace_back();
    block.set_queries(1);
    block.add_candidate_ids("a");
    block.add_scores(0.5f);
    block.add_standard_errors(0.25f);
    return Ok();
  };
  const std::string line = "score-matrix --posterior p1 --query test/4 --standard-errors";
  EXPECT_EQ(Bifctl(line).out, "candidate,query,score,standard_error\na,4,0.5,0.25\n");
  const std::string npy = testing::TempDir() + "/bifctl_test_scores.npy";
  EXPECT_EQ(Bifctl(line + " --out " + npy).exit_code, 0);
  EXPECT_THAT(Read(npy), HasSubstr("'shape': (1, 1,)"));
  EXPECT_THAT(Read(npy + ".se.npy"), HasSubstr("'shape': (1, 1,)"));
  EXPECT_EQ(Read(npy + ".ids.txt"), "a\n");
}

TEST_F(BifctlTest, TracesAreExported) {
  server_.export_traces = [](const auto&, std::vector<v1::ExportTracesResponse>& blocks) {
    auto& block = blocks.emplace_back();
    block.add_sample_ids("a");
    block.set_chains(2);
    block.set_draws_per_chain(1);
    block.add_chain_indices(0);
    block.add_chain_indices(3);
    block.add_values(0.5f);
    block.add_values(1.5f);
    return Ok();
  };
  EXPECT_EQ(Bifctl("export-traces --posterior p1 --out -").out,
            "sample,chain,draw,value\na,0,0,0.5\na,3,0,1.5\n");
}

TEST_F(BifctlTest, ReportIsWritten) {
  AnswerWithOneRanking(server_, nullptr);
  server_.get_posterior = [](const auto& request, v1::Posterior& posterior) {
    posterior.set_name(request.name());
    posterior.set_checkpoint("checkpoints/c");
    posterior.set_dataset("datasets/train");
    return Ok();
  };
  server_.get_diagnostics = [](const auto&, v1::Diagnostics& diagnostics) {
    diagnostics.set_verdict("MIXED");
    return Ok();
  };
  server_.get_checkpoint = [](const auto&, v1::Checkpoint& checkpoint) {
    checkpoint.set_program("programs/g");
    return Ok();
  };
  server_.get_program = [](const auto&, v1::Program& program) {
    program.set_loss(v1::CROSS_ENTROPY);
    program.set_target_column("label");
    return Ok();
  };
  server_.get_sample = [](const v1::GetSampleRequest& request, v1::Sample& sample) {
    if (request.name() == "datasets/train/samples/13") return MakeError(5, "deleted since");
    auto& image = *sample.add_tensors();
    image.mutable_spec()->set_name("image");
    image.mutable_spec()->set_dtype(v1::UINT8);
    image.mutable_spec()->add_shape(1);
    image.mutable_spec()->add_shape(1);
    image.set_data("x");
    auto& label = *sample.add_tensors();
    label.mutable_spec()->set_name("label");
    label.mutable_spec()->set_dtype(v1::INT64);
    label.set_data(std::string("\1\0\0\0\0\0\0\0", 8));
    return Ok();
  };
  server_.get_server_info = [](const auto&, v1::ServerInfo&) { return Ok(); };
  const std::string page = testing::TempDir() + "/bifctl_test_report.html";
  const Ran ran = Bifctl(
      "report --posterior p1 --query test/4 --class-names shirt,coat --title Why? --notes " +
      Write("notes.json", "{\"11\": \"label flipped\"}") + " --summary " +
      Write("summary.json", "[{\"label\": \"AUROC\", \"value\": \"0.94\"}]") + " --out " + page);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, page + "\n");
  EXPECT_THAT(Read(page),
              AllOf(HasSubstr("<h1>Why?</h1>"), HasSubstr("coat"), HasSubstr("label flipped"),
                    HasSubstr("0.94"), HasSubstr("data:image/png"), HasSubstr(">13</div>")));
}

TEST_F(BifctlTest, ReportWithoutItsFilesFailsBeforeAsking) {
  EXPECT_EQ(
      RunLine("report --posterior p --query a/1 --out x.html --notes /no/such/file").exit_code, 2);
}

}  // namespace
}  // namespace bif::client
