// The real daemon over gRPC: the whole path on an exported program, what survives kill -9, and how
// it starts and ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "client/error.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/http_get.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRows = 64;

class Daemon : public ::testing::Test {
 protected:
  std::unique_ptr<DaemonProcess> StartOn(const std::string& data) {
    return std::make_unique<DaemonProcess>(
        scratch_ / data, std::vector<std::string>{"--allow-root=" + scratch_.path()});
  }
  std::string folder() const { return scratch_.path(); }
  void CopyData(const std::string& from, const std::string& to) {
    std::filesystem::copy(scratch_ / from, scratch_ / to, std::filesystem::copy_options::recursive);
  }

 private:
  TempDir scratch_;
};

TEST_F(Daemon, AnswersSurviveKillMinusNineBitByBit) {
  auto daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  std::string posterior;
  std::vector<uint32_t> bits;
  v1::AttributeResponse answer;
  {
    client::Client client(ClientOf(*daemon));
    EXPECT_TRUE(*client.IsServing());
    posterior = SamplePosterior(client, PrepareClassifier(client, folder(), kRows, 20));
    bits = TraceBits(client, posterior);
    EXPECT_EQ(bits.size(), kRows * 2u * 20u);
    const auto first = client.Attribute(AskAboutNewImage(posterior, 0));
    ASSERT_TRUE(first.ok()) << first.status();
    answer = *first;
    EXPECT_EQ(answer.rows_evaluated(), 1u);
    EXPECT_THAT(HttpGet(daemon->metrics_port(), "/metrics"),
                HasSubstr("bif_rows_evaluated_total 1"));
  }
  daemon->Kill();

  daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  EXPECT_EQ(TraceBits(client, posterior), bits);
  const auto again = client.Attribute(AskAboutNewImage(posterior, 0));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->rows_evaluated(), 0u) << "the query's trace was kept";
  EXPECT_EQ(again->rankings(0).SerializeAsString(), answer.rankings(0).SerializeAsString());
}

// The same extension of the same posterior: once in one piece, once with a kill -9 in the middle.
TEST_F(Daemon, ASamplingRunThatWasKilledEndsWithTheSameTraces) {
  constexpr uint32_t kAllDraws = 400;
  std::string posterior;
  {
    auto daemon = StartOn("whole");
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    client::Client client(ClientOf(*daemon));
    posterior = SamplePosterior(client, PrepareClassifier(client, folder(), kRows, 10));
    daemon->Signal(SIGTERM);
    EXPECT_EQ(daemon->AwaitExit(), 0) << daemon->log();
  }
  CopyData("whole", "killed");
  v1::ExtendPosteriorRequest extend;
  extend.set_name(posterior);
  extend.set_draws_per_chain(kAllDraws);

  std::vector<uint32_t> expected;
  {
    auto daemon = StartOn("whole");
    client::Client client(ClientOf(*daemon));
    WaitUntilDone(client, client.ExtendPosterior(extend)->name());
    expected = TraceBits(client, posterior);
    ASSERT_EQ(expected.size(), kRows * 2u * kAllDraws);
  }

  auto daemon = StartOn("killed");
  std::string operation;
  {
    client::ClientOptions options = ClientOf(*daemon);
    options.retry.max_attempts = 1;
    client::Client client(options);
    operation = client.ExtendPosterior(extend)->name();
    const auto broken =
        client.WatchOperation(operation, 0, [&](const v1::WatchOperationResponse& change) {
          v1::PosteriorProgress progress;
          change.operation().metadata().UnpackTo(&progress);
          if (progress.draws_done() > 30) daemon->Signal(SIGKILL);
        });
    EXPECT_FALSE(broken.ok()) << "the daemon was killed before the end";
    EXPECT_EQ(daemon->AwaitExit(), 128 + SIGKILL);
  }
  daemon = StartOn("killed");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  WaitUntilDone(client, operation);  // it goes on by itself
  EXPECT_EQ(TraceBits(client, posterior), expected);
}

TEST_F(Daemon, SigtermWhileSamplingEndsWellAndTheRunGoesOnLater) {
  std::string operation;
  {
    auto daemon = StartOn("data");
    ASSERT_TRUE(daemon->serving()) << daemon->log();
    client::Client client(ClientOf(*daemon));
    operation = client.CreatePosterior(PrepareClassifier(client, folder(), kRows, 400))->name();
    daemon->Signal(SIGTERM);
    EXPECT_EQ(daemon->AwaitExit(), 0) << daemon->log();
  }
  auto daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  v1::Posterior posterior;
  ASSERT_TRUE(WaitUntilDone(client, operation).response().UnpackTo(&posterior));
  EXPECT_EQ(posterior.draws_per_chain(), 400u);
  EXPECT_EQ(posterior.state(), v1::READY);
}

TEST_F(Daemon, ASecondDaemonOnTheSameDirectoryIsRefusedAndTheFirstGoesOn) {
  auto first = StartOn("data");
  ASSERT_TRUE(first->serving()) << first->log();
  DaemonProcess second(folder() + "/data", {});
  EXPECT_FALSE(second.serving());
  EXPECT_EQ(second.AwaitExit(), 1);
  EXPECT_THAT(second.log(), HasSubstr("in use"));
  client::Client client(ClientOf(*first));
  EXPECT_TRUE(*client.IsServing());
}

TEST_F(Daemon, TheEndpointFileNamesTheAddressWhileItServes) {
  auto daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  const std::string path = folder() + "/data/endpoint";
  std::string line;
  std::getline(std::ifstream(path) >> std::ws, line);
  EXPECT_EQ(line, daemon->address());
  daemon->Signal(SIGTERM);
  EXPECT_EQ(daemon->AwaitExit(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Daemon, WhatItCannotDoItSaysAndEnds) {
  DaemonProcess open_to_all(folder() + "/a", {"--listen=0.0.0.0:0"});
  EXPECT_EQ(open_to_all.AwaitExit(), 2);
  EXPECT_THAT(open_to_all.log(), HasSubstr("not a loopback address"));
  DaemonProcess odd_device(folder() + "/b", {"--device=abacus"});
  EXPECT_EQ(odd_device.AwaitExit(), 1);
  EXPECT_THAT(odd_device.log(), HasSubstr("abacus"));
}

TEST_F(Daemon, ShardedWeightsAreTheCheckpointThatTheArchiveIs) {
  auto daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  const auto archive =
      client.GetCheckpoint(PrepareClassifier(client, folder(), kRows, 1).checkpoint());
  ASSERT_TRUE(archive.ok()) << archive.status();
  const std::string shards = folder() + "/shards";
  std::filesystem::create_directory(shards);
  for (const char* half : {"first_half", "second_half"}) {
    std::filesystem::copy_file(std::string(BIF_TEST_PROGRAMS "/mlp.") + half + ".safetensors",
                               shards + "/" + half + ".safetensors");
  }
  std::ofstream(shards + "/model.safetensors.index.json") << R"({"weight_map": {
      "fc1.weight": "first_half.safetensors", "fc1.bias": "first_half.safetensors",
      "fc2.weight": "second_half.safetensors", "fc2.bias": "second_half.safetensors"}})";

  v1::CheckpointSpec spec;
  spec.set_program(archive->program());
  const auto uploaded = client.CreateCheckpoint(spec, shards);
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  EXPECT_EQ(uploaded->name(), archive->name());
  // Rounded to bf16 they are other weights.
  const auto rounded = client.CreateCheckpoint(spec, BIF_TEST_PROGRAMS "/mlp.bf16.safetensors");
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_NE(rounded->name(), archive->name());
  const absl::Status refused = client.CreateCheckpoint(spec, BIF_TEST_PROGRAMS "/mlp.pt2").status();
  EXPECT_THAT(std::string(refused.message()), StartsWith("the file: not a usable safetensors"))
      << "the daemon's own copy has a name that tells the client nothing";
  spec.set_path(shards);
  const auto on_server = client.CreateCheckpoint(spec, "");
  ASSERT_TRUE(on_server.ok()) << on_server.status();
  EXPECT_EQ(on_server->name(), archive->name());
}

// Files that are not what they say are refused with what is wrong, and the daemon goes on.
TEST_F(Daemon, BadProgramsAreRefusedAndDoNoHarm) {
  auto daemon = StartOn("data");
  ASSERT_TRUE(daemon->serving()) << daemon->log();
  client::Client client(ClientOf(*daemon));
  v1::ProgramSpec spec;
  spec.set_loss(v1::CROSS_ENTROPY);
  spec.set_target_column("label");
  spec.add_inputs()->set_input("image");
  spec.mutable_inputs(0)->set_column("image");
  for (const char* file :
       {"bad_pickle", "bad_offset", "bad_json", "bad_operator", "bad_missing", "bad_old"}) {
    const auto program =
        client.CreateProgram(spec, std::string(BIF_TEST_PROGRAMS "/") + file + ".pt2");
    EXPECT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument)
        << file << ": " << program.status();
    EXPECT_THAT(std::string(program.status().message()), Not(HasSubstr(folder())))
        << "the daemon's own copy has a name that tells the client nothing";
  }
  EXPECT_EQ(client.ListPrograms({})->programs_size(), 0);
}

}  // namespace
}  // namespace bif::testing
