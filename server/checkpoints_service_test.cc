// Checkpoints over gRPC: uploads in order and out of order, refusals with the field at fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/empty.pb.h"
#include "tests/support/safetensors_bytes.h"
#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {
namespace {

using ::testing::HasSubstr;

v1::CreateProgramRequest Spec() {
  v1::CreateProgramRequest request;
  *request.mutable_spec() = RegressionProgramSpec();
  return request;
}

v1::CreateProgramRequest Chunk(const std::string& bytes) {
  v1::CreateProgramRequest request;
  request.set_chunk(bytes);
  return request;
}

// Sends the messages as one upload of a program.
CallEnd Upload(TestServer& server, const std::vector<v1::CreateProgramRequest>& messages,
               v1::Program* program = nullptr) {
  v1::Program ignored;
  auto upload =
      server.Write("bif.v1.Checkpoints/CreateProgram", program == nullptr ? ignored : *program);
  for (const auto& message : messages) {
    if (!upload->Write(message)) break;
  }
  return upload->Finish();
}

int CountPrograms(TestServer& server) {
  v1::ListProgramsResponse programs;
  EXPECT_TRUE(
      server.Call("bif.v1.Checkpoints/ListPrograms", v1::ListProgramsRequest(), programs).ok());
  return programs.programs_size();
}

TEST(CheckpointsService, AnUploadInPiecesBecomesAProgram) {
  TestServer server;
  const std::string file = RegressionProgramFile();
  v1::Program program;
  const CallEnd end = Upload(
      server, {Spec(), Chunk(file.substr(0, 5)), Chunk(""), Chunk(file.substr(5))}, &program);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_THAT(program.name(), HasSubstr("programs/"));
  EXPECT_EQ(program.parameters(), kFeatures);
  EXPECT_EQ(program.loss(), v1::SQUARED_ERROR);

  v1::GetProgramRequest get;
  get.set_name(program.name());
  v1::Program again;
  ASSERT_TRUE(server.Call("bif.v1.Checkpoints/GetProgram", get, again).ok());
  EXPECT_EQ(again.SerializeAsString(), program.SerializeAsString());
}

TEST(CheckpointsService, AProgramBelowAnAllowedRootNeedsNoUpload) {
  TestServer server;
  v1::CreateProgramRequest request = Spec();
  request.mutable_spec()->set_path(server.WriteFile("model.pt2", RegressionProgramFile()));
  EXPECT_TRUE(Upload(server, {request}).ok());

  request.mutable_spec()->set_path("/etc/passwd");
  const CallEnd outside = Upload(server, {request});
  EXPECT_EQ(outside.code, absl::StatusCode::kPermissionDenied) << outside;
}

TEST(CheckpointsService, UploadsOutOfOrderAreRefusedByFieldAndLeaveNothing) {
  TestServer server;
  const std::string file = RegressionProgramFile();
  v1::CreateProgramRequest with_path = Spec();
  with_path.mutable_spec()->set_path(server.WriteFile("model.pt2", file));
  v1::CreateProgramRequest without_loss = Spec();
  without_loss.mutable_spec()->clear_loss();
  const struct {
    std::vector<v1::CreateProgramRequest> messages;
    const char* field;
  } cases[] = {
      {{}, "spec"},
      {{Chunk(file)}, "chunk"},
      {{Spec(), Chunk(file), Spec()}, "spec"},
      {{Spec(), v1::CreateProgramRequest()}, "part"},
      {{Spec(), Chunk(std::string((1 << 20) + 1, 'x'))}, "chunk"},
      {{with_path, Chunk(file)}, "chunk"},
      {{Spec()}, "spec.path"},
      {{without_loss, Chunk(file)}, "spec.loss"},
  };
  for (const auto& c : cases) {
    const CallEnd end = Upload(server, c.messages);
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << end;
    EXPECT_EQ(end.field, c.field) << end;
  }
  EXPECT_EQ(CountPrograms(server), 0);
}

TEST(CheckpointsService, AFileThatIsNoProgramIsInvalidArgument) {
  TestServer server;
  const CallEnd end = Upload(server, {Spec(), Chunk("PK\x03\x04 not really")});
  EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << end;
  EXPECT_EQ(CountPrograms(server), 0);
}

TEST(CheckpointsService, AnUploadThatTheClientCancelsLeavesNothing) {
  TestServer server;
  v1::Program program;
  auto upload = server.Write("bif.v1.Checkpoints/CreateProgram", program);
  upload->Write(Spec());
  upload->Write(Chunk(RegressionProgramFile()));
  upload->Cancel();
  EXPECT_EQ(upload->Finish().code, absl::StatusCode::kCancelled);
  EXPECT_EQ(CountPrograms(server), 0);
}

TEST(CheckpointsService, AMessageAboveTheLimitEndsTheCallAndNotTheServer) {
  TestServer server;
  const CallEnd end = Upload(server, {Spec(), Chunk(std::string(5 << 20, 'x'))});
  EXPECT_FALSE(end.ok());
  EXPECT_EQ(CountPrograms(server), 0);
}

TEST(CheckpointsService, ParametersShowWhatAFilterSelectsAndWhichGlobMatchesNothing) {
  TestServer server;
  v1::ListParametersRequest request;
  request.set_checkpoint(MakeCheckpoint(server));
  request.mutable_filter()->add_include("front*");
  v1::ListParametersResponse response;
  ASSERT_TRUE(server.Call("bif.v1.Checkpoints/ListParameters", request, response).ok());
  ASSERT_EQ(response.parameters_size(), 2);
  EXPECT_TRUE(response.parameters(0).moves());
  EXPECT_FALSE(response.parameters(1).moves());
  EXPECT_EQ(response.moving_elements(), 2);
  EXPECT_EQ(response.total_elements(), kFeatures);

  request.mutable_filter()->add_presets("attention");  // the program has none
  CallEnd end = server.Call("bif.v1.Checkpoints/ListParameters", request, response);
  EXPECT_EQ(end.field, "filter.presets[0]") << end;

  request.mutable_filter()->clear_presets();
  request.mutable_filter()->add_include("no.such.*");
  end = server.Call("bif.v1.Checkpoints/ListParameters", request, response);
  EXPECT_EQ(end.field, "filter.include[1]") << end;
}

TEST(CheckpointsService, ACheckpointTakesUploadedWeightsOrThoseOfTheArchive) {
  TestServer server;
  const std::string archive_checkpoint = MakeCheckpoint(server);
  v1::GetCheckpointRequest get;
  get.set_name(archive_checkpoint);
  v1::Checkpoint checkpoint;
  ASSERT_TRUE(server.Call("bif.v1.Checkpoints/GetCheckpoint", get, checkpoint).ok());

  v1::CreateCheckpointRequest spec;
  spec.mutable_spec()->set_program(checkpoint.program());
  spec.mutable_spec()->set_from_chunks(true);
  v1::CreateCheckpointRequest chunk;
  chunk.set_chunk(bif::testing::FakeWeightsFile({1, 2, 3}));
  v1::Checkpoint uploaded;
  auto upload = server.Write("bif.v1.Checkpoints/CreateCheckpoint", uploaded);
  upload->Write(spec);
  upload->Write(chunk);
  ASSERT_TRUE(upload->Finish().ok());
  EXPECT_NE(uploaded.name(), archive_checkpoint);

  v1::Checkpoint none;
  auto missing = server.Write("bif.v1.Checkpoints/CreateCheckpoint", none);
  missing->Write(spec);
  EXPECT_EQ(missing->Finish().field, "spec.from_chunks");
}

// Messages of CreateCheckpoint on a checkpoint's program.
class WeightUpload {
 public:
  explicit WeightUpload(TestServer& server) : server_(server) {
    v1::GetCheckpointRequest get;
    get.set_name(MakeCheckpoint(server));
    EXPECT_TRUE(server.Call("bif.v1.Checkpoints/GetCheckpoint", get, archive_).ok());
  }
  static v1::CreateCheckpointRequest File(const std::string& name) {
    v1::CreateCheckpointRequest request;
    request.set_file(name);
    return request;
  }
  static v1::CreateCheckpointRequest Chunk(const std::string& bytes) {
    v1::CreateCheckpointRequest request;
    request.set_chunk(bytes);
    return request;
  }
  CallEnd Send(const std::vector<v1::CreateCheckpointRequest>& parts, bool from_chunks = true) {
    auto upload = server_.Write("bif.v1.Checkpoints/CreateCheckpoint", made_);
    v1::CreateCheckpointRequest spec;
    spec.mutable_spec()->set_program(archive_.program());
    spec.mutable_spec()->set_from_chunks(from_chunks);
    upload->Write(spec);
    for (const auto& part : parts) {
      if (!upload->Write(part)) break;
    }
    return upload->Finish();
  }
  const v1::Checkpoint& archive() const { return archive_; }
  const v1::Checkpoint& made() const { return made_; }

 private:
  TestServer& server_;
  v1::Checkpoint archive_, made_;
};

constexpr char kIndex[] = R"({"weight_map": {"front": "1.safetensors", "back": "2.safetensors"}})";

TEST(CheckpointsService, ShardsAndTheirIndexComeInOneUpload) {
  TestServer server;
  WeightUpload upload(server);
  const auto file = WeightUpload::File;
  const auto chunk = WeightUpload::Chunk;
  const std::string front = bif::testing::SafetensorsBytes({{"front", {0.5f, -0.25f}}});
  const std::string back = bif::testing::SafetensorsBytes({{"back", {1.0f}}});
  const CallEnd end =
      upload.Send({file("m.index.json"), chunk(kIndex), file("2.safetensors"), chunk(back),
                   file("1.safetensors"), chunk(front.substr(0, 9)), chunk(front.substr(9))});
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_EQ(upload.made().name(), upload.archive().name()) << "the same weights as the archive's";
}

TEST(CheckpointsService, FilesOutOfOrderAreRefusedByField) {
  TestServer server;
  WeightUpload upload(server);
  const auto file = WeightUpload::File;
  const auto chunk = WeightUpload::Chunk;
  const std::string front = bif::testing::SafetensorsBytes({{"front", {0.5f, -0.25f}}});
  const struct {
    std::vector<v1::CreateCheckpointRequest> parts;
    const char* message;
  } cases[] = {
      {{file("")}, "without folders"},
      {{file("a/b")}, "without folders"},
      {{file("a"), file("a")}, "a second time"},
      {{chunk("x"), file("a")}, "without a name"},
      {{file("a"), chunk("x"), file("b"), chunk("y")}, "without an index"},
      {{file("m.index.json"), chunk(kIndex), file("1.safetensors"), chunk(front)},
       "'2.safetensors'"},
  };
  for (const auto& c : cases) {
    const CallEnd end = upload.Send(c.parts);
    EXPECT_EQ(end.field, "file") << c.message << ": " << end;
    EXPECT_THAT(end.message, HasSubstr(c.message));
  }
  EXPECT_EQ(upload.Send({file("a")}, /*from_chunks=*/false).field, "file");
}

TEST(CheckpointsService, WhatIsNeededCannotBeDeletedAndWhatIsUnknownIsNotFound) {
  TestServer server;
  v1::GetCheckpointRequest get;
  get.set_name(MakeCheckpoint(server));
  v1::Checkpoint checkpoint;
  ASSERT_TRUE(server.Call("bif.v1.Checkpoints/GetCheckpoint", get, checkpoint).ok());
  google::protobuf::Empty empty;
  v1::DeleteProgramRequest program;
  program.set_name(checkpoint.program());
  EXPECT_EQ(server.Call("bif.v1.Checkpoints/DeleteProgram", program, empty).code,
            absl::StatusCode::kFailedPrecondition);
  v1::DeleteCheckpointRequest request;
  request.set_name(checkpoint.name());
  EXPECT_TRUE(server.Call("bif.v1.Checkpoints/DeleteCheckpoint", request, empty).ok());
  EXPECT_EQ(server.Call("bif.v1.Checkpoints/DeleteCheckpoint", request, empty).code,
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(server.Call("bif.v1.Checkpoints/DeleteProgram", program, empty).ok());
  EXPECT_EQ(CountPrograms(server), 0);
}

TEST(CheckpointsService, PagesRefuseNegativeSizesAndForeignTokens) {
  TestServer server;
  v1::ListProgramsRequest request;
  v1::ListProgramsResponse response;
  request.set_page_size(-1);
  EXPECT_EQ(server.Call("bif.v1.Checkpoints/ListPrograms", request, response).field, "page_size");
  request.set_page_size(0);
  request.set_page_token("nonsense");
  EXPECT_EQ(server.Call("bif.v1.Checkpoints/ListPrograms", request, response).field, "page_token");
}

}  // namespace
}  // namespace bif::server::testing
