// bifctl on programs, datasets, posteriors, operations and the server.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(BifctlTest, ProgramCreateUploadsWithItsSpec) {
  v1::ProgramSpec spec;
  std::string content;
  server_.create_program = [&](const std::vector<v1::CreateProgramRequest>& requests,
                               v1::Program& program) {
    spec = requests.at(0).spec();
    for (const auto& request : requests) content += request.chunk();
    program.set_name("programs/3f2a");
    program.set_parameters(101770);
    return Ok();
  };
  const std::string file = Write("model.pt2", "pt2 bytes");
  const Ran ran = Bifctl("program create " + file +
                         " --loss cross-entropy --input x=image --scale 0.00392157 --shift "
                         "x=-0.5,0.25 --target label");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(content, "pt2 bytes");
  EXPECT_EQ(spec.loss(), v1::CROSS_ENTROPY);
  EXPECT_EQ(spec.target_column(), "label");
  EXPECT_EQ(spec.path(), "");
  EXPECT_EQ(spec.request_id().size(), 36u);
  ASSERT_EQ(spec.inputs_size(), 1);
  EXPECT_EQ(spec.inputs(0).input(), "x");
  EXPECT_EQ(spec.inputs(0).column(), "image");
  EXPECT_FLOAT_EQ(spec.inputs(0).scale(0), 0.00392157f);
  EXPECT_FLOAT_EQ(spec.inputs(0).shift(0), -0.5f);
  EXPECT_FLOAT_EQ(spec.inputs(0).shift(1), 0.25f);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("programs/3f2a"), HasSubstr("101,770")));
}

TEST_F(BifctlTest, OnServerPassesThePathAndSendsNothing) {
  server_.create_checkpoint = [&](const std::vector<v1::CreateCheckpointRequest>& requests,
                                  v1::Checkpoint& c) {
    EXPECT_EQ(requests.size(), 1u);
    EXPECT_EQ(requests.at(0).spec().path(), "/srv/w.safetensors");
    EXPECT_EQ(requests.at(0).spec().program(), "programs/3f2a");
    EXPECT_FALSE(requests.at(0).spec().from_chunks());
    c.set_name("checkpoints/9c");
    return Ok();
  };
  const Ran ran =
      Bifctl("-q checkpoint create --program 3f2a --weights /srv/w.safetensors --on-server");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "checkpoints/9c\n");
}

TEST_F(BifctlTest, ListsReadAllPages) {
  server_.list_programs = [](const v1::ListProgramsRequest& request,
                             v1::ListProgramsResponse& response) {
    const bool first = request.page_token().empty();
    response.add_programs()->set_name(first ? "programs/a" : "programs/b");
    if (first) response.set_next_page_token("more");
    return Ok();
  };
  EXPECT_EQ(Bifctl("program list -q").out, "programs/a\nprograms/b\n");
  const Ran json = Bifctl("program list --json");
  v1::ListProgramsResponse list;
  EXPECT_THAT(json.out, AllOf(HasSubstr("\"programs/a\""), HasSubstr("\"programs/b\"")));
  EXPECT_THAT(Bifctl("program list").out, HasSubstr("PROGRAM"));
}

TEST_F(BifctlTest, DatasetCreateParsesColumns) {
  v1::CreateDatasetRequest seen;
  server_.create_dataset = [&](const v1::CreateDatasetRequest& request, v1::Dataset& dataset) {
    seen = request;
    dataset.set_name("datasets/" + request.dataset_id());
    return Ok();
  };
  const Ran ran = Bifctl("dataset create train --column image:uint8:28,28 --column label:int64");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.dataset_id(), "train");
  ASSERT_EQ(seen.columns_size(), 2);
  EXPECT_EQ(seen.columns(0).shape(1), 28);
  EXPECT_EQ(seen.columns(1).dtype(), v1::INT64);
}

TEST_F(BifctlTest, ImportsNameTheServersFiles) {
  v1::ImportSamplesRequest seen;
  server_.import_samples = [&](const v1::ImportSamplesRequest& request,
                               v1::ImportSamplesResponse& response) {
    seen = request;
    response.set_imported(3);
    return Ok();
  };
  EXPECT_EQ(
      Bifctl(
          "dataset import-idx d image=/f/images.gz label=/f/labels.gz --id-prefix t --max-rows 3")
          .exit_code,
      0);
  EXPECT_EQ(seen.idx().columns(1).column(), "label");
  EXPECT_EQ(seen.idx().columns(1).path(), "/f/labels.gz");
  EXPECT_EQ(seen.id_prefix(), "t");
  EXPECT_EQ(seen.max_rows(), 3);
  EXPECT_EQ(Bifctl("dataset import-cifar d /f/1.bin /f/2.bin").exit_code, 0);
  EXPECT_EQ(seen.cifar().paths_size(), 2);
  EXPECT_EQ(seen.cifar().image_column(), "image");
  EXPECT_EQ(Bifctl("dataset import-safetensors d /f/x.safetensors").exit_code, 0);
  EXPECT_EQ(seen.safetensors().path(), "/f/x.safetensors");
}

TEST_F(BifctlTest, ImportsUploadLocalFilesUnderTheirNames) {
  std::vector<v1::UploadSamplesRequest> seen;
  server_.upload_samples = [&](const std::vector<v1::UploadSamplesRequest>& requests,
                               v1::ImportSamplesResponse& response) {
    seen = requests;
    response.set_imported(2);
    return Ok();
  };
  const std::string images = Write("images", "pixels");
  const std::string labels = Write("labels", "digits");
  const Ran ran = Bifctl("dataset import-idx d image=" + images + " label=" + labels +
                         " again=" + labels + " --upload --skip 1");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("imported 2 samples"));
  ASSERT_EQ(seen.size(), 7u) << "the spec, then a name and a chunk for each file";
  const v1::IdxFiles& idx = seen[0].spec().idx();
  EXPECT_EQ(seen[0].spec().skip_rows(), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(seen[1 + 2 * i].file(), idx.columns(i).path());
  EXPECT_EQ(idx.columns(0).path(), "bifctl_test_images");
  EXPECT_EQ(idx.columns(2).path(), "2-bifctl_test_labels") << "names are distinct";
  EXPECT_EQ(seen[2].chunk(), "pixels");
  EXPECT_EQ(seen[4].chunk(), "digits");

  EXPECT_EQ(Bifctl("dataset import-cifar d " + images + " --upload").exit_code, 0);
  EXPECT_EQ(seen[0].spec().cifar().paths(0), "bifctl_test_images");
  EXPECT_EQ(Bifctl("dataset import-safetensors d " + images + " --upload").exit_code, 0);
  EXPECT_EQ(seen[0].spec().safetensors().path(), "bifctl_test_images");
  EXPECT_EQ(Bifctl("dataset import-safetensors d /no/such/file --upload").exit_code, 1);
}

TEST_F(BifctlTest, AppendSendsALocalFile) {
  server_.get_dataset = [](const auto&, v1::Dataset& dataset) {
    dataset.add_columns()->set_name("label");
    dataset.mutable_columns(0)->set_dtype(v1::INT64);
    return Ok();
  };
  std::vector<std::string> ids;
  server_.append_samples = [&](const std::vector<v1::AppendSamplesRequest>& requests,
                               v1::AppendSamplesResponse& response) {
    for (const auto& request : requests) {
      for (const auto& sample : request.samples()) ids.push_back(sample.id());
    }
    response.set_appended(static_cast<int64_t>(ids.size()));
    return Ok();
  };
  const Ran ran = Bifctl("dataset append d " +
                         Write("a.jsonl", "{\"label\": 1}\n{\"id\": \"x\", \"label\": 2}\n"));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ids, (std::vector<std::string>{"0", "x"}));
  EXPECT_THAT(ran.out, HasSubstr("appended 2 samples"));
}

google::longrunning::Operation Sampling(uint32_t done, bool finished) {
  google::longrunning::Operation operation;
  operation.set_name("operations/7");
  v1::PosteriorProgress progress;
  progress.set_posterior("posteriors/p1");
  progress.set_stage(finished ? "done" : "sampling");
  progress.set_draws_done(done);
  progress.set_draws_total(200);
  operation.mutable_metadata()->PackFrom(progress);
  operation.set_done(finished);
  if (finished) {
    v1::Posterior posterior;
    posterior.set_name("posteriors/p1");
    posterior.set_state(v1::READY);
    operation.mutable_response()->PackFrom(posterior);
  }
  return operation;
}

TEST_F(BifctlTest, PosteriorCreateWaitsAndShowsProgress) {
  v1::CreatePosteriorRequest seen;
  server_.create_posterior = [&](const auto& request, auto& operation) {
    seen = request;
    operation = Sampling(0, false);
    return Ok();
  };
  server_.watch_operation = [](const auto&, std::vector<v1::WatchOperationResponse>& changes) {
    for (const uint32_t done : {100u, 200u}) {
      auto& change = changes.emplace_back();
      change.set_sequence(done);
      *change.mutable_operation() = Sampling(done, done == 200);
    }
    return Ok();
  };
  const std::string line =
      "posterior create --checkpoint c1 --dataset train --preset vision --chains 2 --nbeta 1000 "
      "--burn-in 0 "
      "--algorithm rmsprop --steps-between-draws auto --codec int4 --seed 3 --include *.weight "
      "--exclude head.* --preset attention --preset layer:3 --random-streams devinterp --compute "
      "bf16";
  const Ran ran = Bifctl(line + " --wait");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const v1::SamplerSettings& s = seen.settings();
  EXPECT_EQ(seen.checkpoint(), "checkpoints/c1");
  EXPECT_EQ(seen.dataset(), "datasets/train");
  EXPECT_EQ(s.algorithm(), v1::RMSPROP_SGLD);
  EXPECT_EQ(s.chains(), 2u);              // over the preset's 15
  EXPECT_EQ(s.nbeta(), 1000);             // over 10
  EXPECT_EQ(s.burn_in_steps(), 0u);       // over 10
  EXPECT_EQ(s.draws_per_chain(), 1000u);  // the preset's
  EXPECT_EQ(s.step_size(), 1e-4);
  EXPECT_TRUE(s.has_steps_between_draws());
  EXPECT_EQ(s.steps_between_draws(), 0u);
  EXPECT_EQ(s.draw_codec(), v1::INT4_BLOCK);
  EXPECT_EQ(s.seed(), 3u);
  EXPECT_EQ(s.parameters().include(0), "*.weight");
  EXPECT_EQ(s.parameters().exclude(0), "head.*");
  EXPECT_THAT(s.parameters().presets(), ElementsAre("attention", "layer:3"));
  EXPECT_EQ(s.random_streams(), v1::DEVINTERP);
  EXPECT_EQ(s.compute(), v1::COMPUTE_BF16);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("posteriors/p1"), HasSubstr("ready")));
  EXPECT_THAT(ran.err, HasSubstr("100/200 draws"));

  const Ran started = Bifctl(line);
  EXPECT_EQ(started.out, "operations/7\n");
  EXPECT_THAT(started.err, HasSubstr("bifctl operation watch 7"));

  const Ran replayed = Bifctl(line + " --replay-batches " + Write("batches", "[[0, 2], [1, 3]]"));
  EXPECT_EQ(replayed.exit_code, 0) << replayed.err;
  EXPECT_EQ(seen.settings().batch_order(), v1::REPLAY);
  ASSERT_EQ(seen.settings().replay_batches_size(), 2);
  EXPECT_EQ(seen.settings().replay_batches(1).indices(1), 3u);
}

TEST_F(BifctlTest, AnOperationThatFailedMakesTheCommandFail) {
  server_.create_posterior = [&](const auto&, auto& operation) {
    operation.set_name("operations/7");
    operation.set_done(true);
    *operation.mutable_error() = WithErrorReason(MakeError(9, "all chains diverged"), "DIVERGED");
    return Ok();
  };
  const Ran ran = Bifctl("posterior create --checkpoint c --dataset d --preset vision --wait");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err, "bifctl: failed precondition: all chains diverged [DIVERGED]\n");
}

TEST_F(BifctlTest, AFieldAtFaultIsNamed) {
  server_.create_posterior = [&](const auto&, auto&) {
    return WithFieldViolation(MakeError(3, "must be above 0, is -1"), "settings.nbeta",
                              "must be above 0, is -1");
  };
  const Ran ran = Bifctl("posterior create --checkpoint c --dataset d --preset vision --nbeta -1");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("settings.nbeta: must be above 0, is -1"));
}

TEST_F(BifctlTest, WatchShowsChangesAndEndsWithTheOperation) {
  server_.get_operation = [](const auto&, auto& operation) {
    operation = Sampling(0, false);
    return Ok();
  };
  server_.watch_operation = [](const auto&, std::vector<v1::WatchOperationResponse>& changes) {
    auto& change = changes.emplace_back();
    change.set_sequence(1);
    *change.mutable_operation() = Sampling(200, true);
    return Ok();
  };
  const Ran ran = Bifctl("operation watch 7");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("operations/7"), HasSubstr("done")));
}

TEST_F(BifctlTest, ServerInfoAndHealth) {
  server_.get_server_info = [](const auto&, v1::ServerInfo& info) {
    info.set_version("0.1.0");
    info.set_free_disk_bytes(1536);
    return Ok();
  };
  EXPECT_THAT(Bifctl("server info").out, AllOf(HasSubstr("0.1.0"), HasSubstr("1.5 KiB")));
  const Ran health = Bifctl("health");
  EXPECT_EQ(health.exit_code, 0);
  EXPECT_EQ(health.out, "serving\n");
}

}  // namespace
}  // namespace bif::client
