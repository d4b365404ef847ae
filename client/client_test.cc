// The client against a fake server in this process: retries, uploads, streams, resumed watches.
#include "client/client.h"

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/error.h"
#include "gtest/gtest.h"
#include "tests/support/client/fake_server.h"
#include "tests/support/temp_dir.h"

namespace bif::client {
namespace {

using google::longrunning::Operation;

class ClientTest : public ::testing::Test {
 protected:
  ClientOptions Options() {
    ClientOptions options;
    options.server = server_.address();
    options.sleep = [this](absl::Duration wait) { waits_.push_back(wait); };
    return options;
  }

  // The path of a new local file.
  std::string File(const std::string& content, const std::string& name = "upload") {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  FakeServer server_;
  std::vector<absl::Duration> waits_;
  bif::testing::TempDir folder_;
};

FakeServer::Error Ok() { return {}; }

TEST_F(ClientTest, AnUnavailableServerIsAskedAgain) {
  int calls = 0;
  server_.get_program = [&](const v1::GetProgramRequest& request, v1::Program& program) {
    if (calls++ < 2) return MakeError(14, "restarting");
    program.set_name(request.name());
    return Ok();
  };
  Client client(Options());
  const auto program = client.GetProgram("programs/p");
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->name(), "programs/p");
  EXPECT_EQ(server_.calls("GetProgram"), 3);
  EXPECT_EQ(waits_.size(), 2u);
}

TEST_F(ClientTest, TheServersRetryDelayIsWaitedFor) {
  int calls = 0;
  server_.get_program = [&](const v1::GetProgramRequest&, v1::Program&) {
    return calls++ == 0 ? WithRetryAfter(MakeError(8, "the queue is full"), 3) : Ok();
  };
  Client client(Options());
  ASSERT_TRUE(client.GetProgram("programs/p").ok());
  ASSERT_EQ(waits_.size(), 1u);
  EXPECT_GE(waits_[0], absl::Seconds(3));
  EXPECT_LT(waits_[0], absl::Seconds(4));
}

TEST_F(ClientTest, ErrorsArriveWithTheirDetails) {
  server_.get_program = [&](const v1::GetProgramRequest&, v1::Program&) {
    return WithErrorReason(
        WithFieldViolation(MakeError(3, "bad name"), "name", "must be programs/..."), "BAD_NAME");
  };
  Client client(Options());
  const absl::Status status = client.GetProgram("x").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DetailsOf(status).reason, "BAD_NAME");
  ASSERT_EQ(DetailsOf(status).field_violations.size(), 1u);
  EXPECT_EQ(DetailsOf(status).field_violations[0].field, "name");
  EXPECT_EQ(server_.calls("GetProgram"), 1);
}

TEST_F(ClientTest, ADeleteIsNotRepeated) {
  server_.delete_program = [](const v1::DeleteProgramRequest&) { return MakeError(14, "lost"); };
  Client client(Options());
  EXPECT_EQ(client.DeleteProgram("programs/p").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server_.calls("DeleteProgram"), 1);
}

TEST_F(ClientTest, ARepeatedCreateCarriesTheSameRequestId) {
  std::vector<std::string> ids;
  server_.create_dataset = [&](const v1::CreateDatasetRequest& request, v1::Dataset&) {
    ids.push_back(request.request_id());
    return ids.size() == 1 ? MakeError(14, "lost") : Ok();
  };
  Client client(Options());
  ASSERT_TRUE(client.CreateDataset({}).ok());
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0].size(), 36u);
  EXPECT_EQ(ids[0], ids[1]);
}

TEST_F(ClientTest, AServerThatIsNotThereGivesUnavailable) {
  ClientOptions options = Options();
  options.server = "127.0.0.1:1";
  options.retry.max_attempts = 2;
  Client client(options);
  EXPECT_EQ(client.GetServerInfo().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(waits_.size(), 1u);
}

TEST_F(ClientTest, HealthIsAsked) {
  Client client(Options());
  const auto serving = client.IsServing();
  ASSERT_TRUE(serving.ok()) << serving.status();
  EXPECT_TRUE(*serving);
  EXPECT_EQ(client.IsServing("no.such.Service").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, AFileIsUploadedInChunksOfOneMebibyte) {
  std::string content(2'500'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 % 251);
  std::string received;
  std::vector<size_t> chunks;
  server_.create_program = [&](const std::vector<v1::CreateProgramRequest>& requests,
                               v1::Program& program) {
    EXPECT_TRUE(requests.at(0).has_spec());
    for (size_t i = 1; i < requests.size(); ++i) {
      chunks.push_back(requests[i].chunk().size());
      received += requests[i].chunk();
    }
    program.set_display_name(requests.at(0).spec().display_name());
    return Ok();
  };
  Client client(Options());
  v1::ProgramSpec spec;
  spec.set_display_name("mlp");
  int64_t last_sent = 0;
  const auto program = client.CreateProgram(spec, File(content), [&](int64_t sent, int64_t total) {
    EXPECT_EQ(total, 2'500'000);
    EXPECT_GT(sent, last_sent);
    last_sent = sent;
  });
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(program->display_name(), "mlp");
  EXPECT_EQ(received, content);
  EXPECT_EQ(chunks, (std::vector<size_t>{1 << 20, 1 << 20, 2'500'000 - (2 << 20)}));
  EXPECT_EQ(last_sent, 2'500'000);
}

TEST_F(ClientTest, ABrokenUploadIsRepeatedWhole) {
  int attempts = 0;
  std::vector<std::string> received;
  server_.create_checkpoint = [&](const std::vector<v1::CreateCheckpointRequest>& requests,
                                  v1::Checkpoint&) {
    EXPECT_TRUE(requests.at(0).spec().from_chunks());
    received.emplace_back();
    for (const auto& request : requests) received.back() += request.chunk();
    return attempts++ == 0 ? MakeError(14, "draining") : Ok();
  };
  Client client(Options());
  ASSERT_TRUE(client.CreateCheckpoint({}, File("weights")).ok());
  EXPECT_EQ(received, (std::vector<std::string>{"weights", "weights"}));
}

TEST_F(ClientTest, ShardedWeightsAreSentByNameAfterTheirIndex) {
  std::vector<std::pair<std::string, std::string>> received;  // name, content
  server_.create_checkpoint = [&](const std::vector<v1::CreateCheckpointRequest>& requests,
                                  v1::Checkpoint&) {
    received.clear();
    for (const auto& request : requests) {
      if (request.has_file()) received.emplace_back(request.file(), "");
      if (request.has_chunk()) received.back().second += request.chunk();
    }
    return Ok();
  };
  const std::string index =
      R"({"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}})";
  File(index, "model.safetensors.index.json");
  File("one", "1.safetensors");
  File("two", "2.safetensors");
  Client client(Options());
  int64_t total_bytes = 0;
  const auto progress = [&](int64_t, int64_t total) { total_bytes = total; };
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"model.safetensors.index.json", index}, {"1.safetensors", "one"}, {"2.safetensors", "two"}};
  ASSERT_TRUE(client.CreateCheckpoint({}, folder_.path(), progress).ok());
  EXPECT_EQ(received, expected);
  EXPECT_EQ(total_bytes, static_cast<int64_t>(index.size()) + 6);
  ASSERT_TRUE(client.CreateCheckpoint({}, folder_ / "model.safetensors.index.json").ok());
  EXPECT_EQ(received, expected);
}

TEST_F(ClientTest, ShardsThatAreMissingOrElsewhereFailBeforeAnythingIsSent) {
  Client client(Options());
  const auto refused = [&](const std::string& index) {
    const std::string path = File(index, "model.safetensors.index.json");
    return client.CreateCheckpoint({}, path).status();
  };
  const absl::Status missing = refused(R"({"weight_map": {"a": "3.safetensors"}})");
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(missing.message(), "the shard 3.safetensors")) << missing;
  EXPECT_EQ(refused(R"({"weight_map": {"a": "../1.safetensors"}})").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_.calls("CreateCheckpoint"), 0);
}

TEST_F(ClientTest, AMissingFileFailsBeforeAnythingIsKept) {
  server_.create_program = [](const auto&, v1::Program&) { return Ok(); };
  Client client(Options());
  const absl::Status status = client.CreateProgram({}, "/no/such/file.pt2").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.calls("CreateProgram"), 0);
}

// `count` samples of `bytes` bytes each.
class MadeUpSamples : public SampleSource {
 public:
  MadeUpSamples(int count, size_t bytes) : count_(count), bytes_(bytes) {}
  absl::Status Rewind() override {
    next_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (next_ == count_) return std::optional<v1::Sample>();
    v1::Sample sample;
    sample.set_id(std::to_string(next_++));
    sample.add_tensors()->mutable_data()->assign(bytes_, 'x');
    return std::optional<v1::Sample>(std::move(sample));
  }

 private:
  const int count_;
  const size_t bytes_;
  int next_ = 0;
};

TEST_F(ClientTest, SamplesAreAppendedInMessagesOfAtMostOneMebibyte) {
  std::vector<std::string> ids;
  int attempts = 0;
  server_.append_samples = [&](const std::vector<v1::AppendSamplesRequest>& requests,
                               v1::AppendSamplesResponse& response) {
    if (attempts++ == 0) return MakeError(14, "lost");
    for (size_t m = 0; m < requests.size(); ++m) {
      EXPECT_LE(requests[m].ByteSizeLong(), size_t{1} << 20);
      EXPECT_EQ(requests[m].dataset(), m == 0 ? "datasets/d" : "");
      for (const auto& sample : requests[m].samples()) ids.push_back(sample.id());
    }
    EXPECT_EQ(requests.size(), 4u);  // three samples of 300 kB fit into each
    response.set_appended(static_cast<int64_t>(ids.size()));
    return Ok();
  };
  Client client(Options());
  MadeUpSamples samples(10, 300'000);
  const auto response = client.AppendSamples("datasets/d", samples);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->appended(), 10);
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(ids.front(), "0");
  EXPECT_EQ(ids.back(), "9");
}

TEST_F(ClientTest, ASampleThatNoMessageCanHoldIsRefusedHere) {
  Client client(Options());
  MadeUpSamples samples(1, 5'000'000);
  EXPECT_EQ(client.AppendSamples("datasets/d", samples).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_.calls("AppendSamples"), 0);
}

TEST_F(ClientTest, AttributeGivesUpdatesAndThenTheFinalAnswer) {
  int attempts = 0;
  server_.attribute = [&](const v1::AttributeRequest&,
                          std::vector<v1::AttributeResponse>& responses) {
    responses.emplace_back().set_draws_done(10);
    if (attempts++ == 0) return MakeError(14, "broken");
    responses.emplace_back().set_draws_done(20);
    responses.back().set_final(true);
    return Ok();
  };
  Client client(Options());
  std::vector<int> updates;
  const auto answer = client.Attribute({}, [&](const v1::AttributeResponse& update) {
    updates.push_back(static_cast<int>(update.draws_done()));
  });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->draws_done(), 20u);
  EXPECT_EQ(updates, (std::vector<int>{10, 10}));
}

TEST_F(ClientTest, AStreamWithoutAFinalAnswerIsAnError) {
  server_.attribute = [&](const auto&, auto&) { return Ok(); };
  Client client(Options());
  EXPECT_EQ(client.Attribute({}).status().code(), absl::StatusCode::kInternal);
}

TEST_F(ClientTest, BlocksAreNeverGivenTwice) {
  server_.self_influence = [&](const auto&, std::vector<v1::SelfInfluenceResponse>& blocks) {
    blocks.emplace_back().add_sample_ids("a");
    return MakeError(14, "broken");
  };
  Client client(Options());
  int blocks = 0;
  const absl::Status status = client.SelfInfluence({}, [&](const auto&) {
    ++blocks;
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(blocks, 1);
  EXPECT_EQ(server_.calls("SelfInfluence"), 1);
}

TEST_F(ClientTest, ABrokenStreamGoesOnAfterItsLastBlockWhereBlocksSayHow) {
  server_.self_influence = [&](const v1::SelfInfluenceRequest& request,
                               std::vector<v1::SelfInfluenceResponse>& blocks) {
    const bool again = !request.resume_token().empty();
    EXPECT_EQ(request.resume_token(), again ? "after a" : "");
    blocks.emplace_back().add_sample_ids(again ? "b" : "a");
    blocks.back().set_resume_token(again ? "after b" : "after a");
    return again ? Ok() : MakeError(14, "draining");
  };
  Client client(Options());
  std::vector<std::string> ids;
  const absl::Status status = client.SelfInfluence({}, [&](const v1::SelfInfluenceResponse& block) {
    ids.push_back(block.sample_ids(0));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(server_.calls("SelfInfluence"), 2);
}

TEST_F(ClientTest, AnErrorOfTheCallbackEndsAStream) {
  server_.self_influence = [&](const auto&, std::vector<v1::SelfInfluenceResponse>& blocks) {
    blocks.resize(3);
    return Ok();
  };
  Client client(Options());
  const absl::Status status =
      client.SelfInfluence({}, [](const auto&) { return absl::DataLossError("disk full"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
}

v1::WatchOperationResponse Change(uint64_t sequence, bool done = false) {
  v1::WatchOperationResponse change;
  change.set_sequence(sequence);
  change.mutable_operation()->set_name("operations/1");
  change.mutable_operation()->set_done(done);
  return change;
}

TEST_F(ClientTest, ABrokenWatchIsResumedAfterTheLastChangeSeen) {
  std::vector<uint64_t> asked_after;
  server_.watch_operation = [&](const v1::WatchOperationRequest& request,
                                std::vector<v1::WatchOperationResponse>& changes) {
    asked_after.push_back(request.after_sequence());
    switch (asked_after.size()) {
      case 1:
        changes = {Change(1), Change(2)};
        return MakeError(14, "connection lost");
      case 2:
        changes = {Change(2), Change(3)};  // a little early
        return Ok();                       // ends although the operation has not
      default:
        changes = {Change(4, true)};
        return Ok();
    }
  };
  Client client(Options());
  std::vector<uint64_t> heard;
  const auto operation = client.WatchOperation(
      "operations/1", 0, [&](const auto& change) { heard.push_back(change.sequence()); });
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_TRUE(operation->done());
  EXPECT_EQ(asked_after, (std::vector<uint64_t>{0, 2, 3}));
  EXPECT_EQ(heard, (std::vector<uint64_t>{1, 2, 3, 4}));
}

TEST_F(ClientTest, AWatchSendsTheTokenAndIsNotMadeWithoutTheTlsThatWasAskedFor) {
  server_.watch_operation = [&](const auto&, std::vector<v1::WatchOperationResponse>& changes) {
    changes.push_back(Change(1, true));
    return Ok();
  };
  ClientOptions options = Options();
  options.token = "bif_secret";
  EXPECT_TRUE(Client(options).WatchOperation("operations/1", 0, {}).ok());
  EXPECT_EQ(server_.authorization(), "Bearer bif_secret");

  options.tls.ca = "/no/such/file";
  EXPECT_EQ(Client(options).WatchOperation("operations/1", 0, {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Client(options).GetServerInfo().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.calls("WatchOperation"), 1);
  options.server = "unix:/no/such/socket";  // speaks plaintext always
  EXPECT_EQ(Client(options).GetServerInfo().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, AWatchThatNeverGetsAnywhereGivesUp) {
  server_.watch_operation = [](const auto&, auto&) { return MakeError(14, "gone"); };
  Client client(Options());
  EXPECT_EQ(client.WatchOperation("operations/1", 0).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(server_.calls("WatchOperation"), RetryPolicy().max_attempts);
}

TEST_F(ClientTest, AWatchOfNothingIsFinal) {
  server_.watch_operation = [](const auto&, auto&) { return MakeError(5, "no such operation"); };
  Client client(Options());
  EXPECT_EQ(client.WatchOperation("operations/1", 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.calls("WatchOperation"), 1);
}

TEST_F(ClientTest, WaitGoesOnUntilTheOperationIsDone) {
  int calls = 0;
  server_.wait_operation = [&](const auto& request, Operation& operation) {
    EXPECT_GT(request.timeout().seconds(), 0);
    operation.set_done(++calls == 3);
    return Ok();
  };
  Client client(Options());
  const auto operation = client.WaitOperation("operations/1", absl::InfiniteDuration());
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_TRUE(operation->done());
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace bif::client
