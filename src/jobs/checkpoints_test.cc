#include "src/jobs/checkpoints.h"

#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "src/base/status.h"
#include "tests/support/jobs_fixture.h"
#include "tests/support/safetensors_bytes.h"

namespace bif::jobs {
namespace {

class CheckpointsTest : public JobsFixture {
 protected:
  Checkpoints& checkpoints() { return jobs_->checkpoints(); }

  static ProgramSpec Spec(const RequestId& request = {}) {
    const engine::ProgramSource source = testing::FakeProgram("");
    return {request, "linear", source.loss, source.target_column, source.inputs};
  }
  std::string ProgramFile() {
    return WriteFile("p.pt2", testing::FakeProgramFile(3, 0, {1, 2, 3}));
  }

  size_t BlobFiles() {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_ / "store/blobs")) {
      files += entry.is_regular_file();
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_ / "store/tmp")) {
      files += entry.is_regular_file();
    }
    return files;
  }
};

TEST_F(CheckpointsTest, TheSameContentIsTheSameProgramByPathOrUpload) {
  const absl::StatusOr<Program> by_path = checkpoints().CreateProgram(Spec(), ProgramFile());
  ASSERT_TRUE(by_path.ok()) << by_path.status();
  EXPECT_EQ(by_path->name, "programs/" + by_path->digest.substr(0, 12));
  EXPECT_EQ(by_path->parameter_elements, 3);
  EXPECT_EQ(by_path->info.columns[0].ToString(), "features float32[3]");

  std::unique_ptr<Upload> upload = *checkpoints().NewUpload();
  const std::string text = testing::FakeProgramFile(3, 0, {1, 2, 3});
  ASSERT_TRUE(upload->Append(text.substr(0, 5)).ok());
  ASSERT_TRUE(upload->Append(text.substr(5)).ok());
  const absl::StatusOr<Program> uploaded =
      checkpoints().CreateProgram(Spec(), {"", std::move(upload)});
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  EXPECT_EQ(uploaded->digest, by_path->digest);
  EXPECT_EQ(BlobFiles(), 1u);

  ProgramSpec scaled = Spec();
  scaled.inputs[0].scale = {2};
  EXPECT_NE(checkpoints().CreateProgram(scaled, ProgramFile())->digest, by_path->digest);
  EXPECT_EQ(BlobFiles(), 1u);  // two programs, one file
  EXPECT_EQ(checkpoints().ListPrograms({})->items.size(), 2u);
}

TEST_F(CheckpointsTest, ABadFileLeavesNothingBehind) {
  const absl::Status cut =
      checkpoints().CreateProgram(Spec(), WriteFile("cut.pt2", "fake-prog")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(cut)) << cut;
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_TRUE(checkpoints().ListPrograms({})->items.empty());

  const Program program = *checkpoints().CreateProgram(Spec(), ProgramFile());
  const std::string other = WriteFile("other.safetensors", testing::FakeWeightsFile({1, 2}));
  const absl::Status misfit =
      checkpoints().CreateCheckpoint({{}, "", program.name}, other).status();
  EXPECT_TRUE(absl::IsInvalidArgument(misfit)) << misfit;
  EXPECT_NE(misfit.message().find("2 weights where the program has 3"), absl::string_view::npos);
  EXPECT_EQ(BlobFiles(), 1u);
  EXPECT_TRUE(checkpoints().ListCheckpoints({})->items.empty());
}

TEST_F(CheckpointsTest, AFolderIsNoProgram) {
  EXPECT_EQ(FieldPath(checkpoints().CreateProgram(Spec(), files_.path()).status()), "path");
}

TEST_F(CheckpointsTest, PathsOutsideTheRootsAreDenied) {
  EXPECT_TRUE(
      absl::IsPermissionDenied(checkpoints().CreateProgram(Spec(), "/etc/passwd").status()));
}

TEST_F(CheckpointsTest, AnUploadStopsAtItsLimit) {
  options_.checkpoints.max_file_bytes = 10;
  Restart();
  std::unique_ptr<Upload> upload = *checkpoints().NewUpload();
  EXPECT_TRUE(upload->Append("0123456789").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(upload->Append("x")));
  upload.reset();
  EXPECT_EQ(BlobFiles(), 0u);
}

TEST_F(CheckpointsTest, WeightsNameTheCheckpointWhereverTheyComeFrom) {
  const Program program = *checkpoints().CreateProgram(Spec(), ProgramFile());
  const Checkpoint archive = *checkpoints().CreateCheckpoint({{}, "", program.name});
  const std::string same = WriteFile("same.safetensors", testing::FakeWeightsFile({1, 2, 3}));
  EXPECT_EQ(checkpoints().CreateCheckpoint({{}, "", program.name}, same)->digest, archive.digest);
  const std::string tuned = WriteFile("tuned.safetensors", testing::FakeWeightsFile({1, 2, 4}));
  const Checkpoint other = *checkpoints().CreateCheckpoint({{}, "", program.name}, tuned);
  EXPECT_NE(other.digest, archive.digest);
  EXPECT_EQ(other.program, program.name);
  Restart();
  EXPECT_EQ(checkpoints().GetCheckpoint(other.name)->digest, other.digest);
  EXPECT_EQ(checkpoints().ListCheckpoints({})->items.size(), 2u);
  EXPECT_EQ(checkpoints().GetSources(other.digest)->weights_source.safetensors_paths.size(), 1u);
}

TEST_F(CheckpointsTest, AnErrorAboutAFileDoesNotNameTheDaemonsCopy) {
  std::unique_ptr<Upload> upload = *checkpoints().NewUpload();
  ASSERT_TRUE(upload->Append("no program").ok());
  const absl::Status program =
      checkpoints().CreateProgram(Spec(), {"", std::move(upload)}).status();
  EXPECT_EQ(program.message(), "the file: this is not a program: the archive has no graph");

  const std::string name = checkpoints().CreateProgram(Spec(), ProgramFile())->name;
  std::vector<NamedUpload> files(1);
  files[0].upload = *checkpoints().NewUpload();
  ASSERT_TRUE(files[0].upload->Append("no weights").ok());
  const absl::Status weights =
      checkpoints().CreateCheckpoint({{}, "", name}, std::move(files)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(weights));
  EXPECT_TRUE(absl::StartsWith(weights.message(), "the file: not a usable safetensors file"))
      << weights;
}

class ShardedWeights : public CheckpointsTest {
 protected:
  ShardedWeights() { program_ = checkpoints().CreateProgram(Spec(), ProgramFile())->name; }

  static std::string Shard(const std::map<std::string, std::vector<float>>& tensors) {
    return testing::SafetensorsBytes(tensors);
  }
  absl::StatusOr<Checkpoint> FromPath(const std::string& path) {
    return checkpoints().CreateCheckpoint({{}, "", program_}, path);
  }
  absl::StatusOr<Checkpoint> FromUpload(
      const std::vector<std::pair<std::string, std::string>>& contents) {
    std::vector<NamedUpload> files;
    for (const auto& [name, bytes] : contents) {
      files.push_back({name, *checkpoints().NewUpload()});
      EXPECT_TRUE(files.back().upload->Append(bytes).ok());
    }
    return checkpoints().CreateCheckpoint({{}, "", program_}, std::move(files));
  }
  void WriteShards() {
    WriteFile("1.safetensors", front_);
    WriteFile("2.safetensors", back_);
    WriteFile("model.safetensors.index.json", index_);
  }
  // What is wrong, and that it is the field's fault.
  static std::string Complaint(const absl::StatusOr<Checkpoint>& checkpoint, const char* field) {
    EXPECT_EQ(FieldPath(checkpoint.status()), field) << checkpoint.status();
    return std::string(checkpoint.status().message());
  }

  const std::string index_ =
      R"({"metadata":{},"weight_map":{"front":"1.safetensors","back":"2.safetensors"}})";
  const std::string front_ = Shard({{"front", {1, 2}}});
  const std::string back_ = Shard({{"back", {4}}});
  std::string program_;
};

TEST_F(ShardedWeights, AreTheSameCheckpointAsOneFile) {
  WriteShards();
  const std::string one = WriteFile("one.safetensors", testing::FakeWeightsFile({1, 2, 4}));
  const absl::StatusOr<Checkpoint> by_index = FromPath(files_ / "model.safetensors.index.json");
  ASSERT_TRUE(by_index.ok()) << by_index.status();
  EXPECT_EQ(BlobFiles(), 3u) << "the program and two shards; the index is not kept";
  EXPECT_EQ(checkpoints().GetSources(by_index->digest)->weights_source.safetensors_paths.size(),
            2u);
  EXPECT_EQ(FromPath(files_.path())->digest, by_index->digest);
  EXPECT_EQ(
      FromUpload({{"2.safetensors", back_}, {"x.index.json", index_}, {"1.safetensors", front_}})
          ->digest,
      by_index->digest);
  EXPECT_EQ(FromPath(one)->digest, by_index->digest);
  Restart();
  EXPECT_EQ(BlobFiles(), 3u) << "start-up keeps every shard";
  EXPECT_TRUE(checkpoints().DeleteCheckpoint(by_index->name).ok());
  EXPECT_EQ(BlobFiles(), 1u);
}

TEST_F(ShardedWeights, AFolderMayHoldASingleFile) {
  EXPECT_TRUE(absl::StrContains(Complaint(FromPath(files_.path()), "path"), "name the file"));
  WriteFile("model.safetensors", testing::FakeWeightsFile({1, 2, 4}));
  EXPECT_TRUE(FromPath(files_.path()).ok());
}

// The hub's cache is folders of links to files named by their digest.
TEST_F(ShardedWeights, MayBeLinks) {
  namespace fs = std::filesystem;
  fs::create_directory(files_ / "snapshot");
  const auto link = [&](const std::string& blob, const std::string& content,
                        const std::string& name) {
    WriteFile(blob, content);
    fs::create_symlink("../" + blob, files_ / "snapshot/" + name);
  };
  link("aa", front_, "1.safetensors");
  link("bb", back_, "2.safetensors");
  link("cc", index_, "model.safetensors.index.json");
  const absl::StatusOr<Checkpoint> checkpoint = FromPath(files_ / "snapshot");
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
}

TEST_F(ShardedWeights, AreRefusedWithTheShardThatDoesNotFit) {
  WriteShards();
  const std::string index = files_ / "model.safetensors.index.json";
  EXPECT_TRUE(absl::StrContains(
      Complaint(FromUpload({{"x.index.json", index_}, {"1.safetensors", front_}}), "file"),
      "'2.safetensors', which is missing"));
  std::filesystem::remove(files_ / "2.safetensors");
  EXPECT_TRUE(absl::StrContains(Complaint(FromPath(index), "path"),
                                "the shard 2.safetensors, which is not beside it"));
  WriteFile("2.safetensors", Shard({{"front", {1, 2}}, {"back", {4}}}));
  EXPECT_TRUE(absl::StrContains(Complaint(FromPath(index), "path"), "lies in two shards"));
  WriteFile("2.safetensors", Shard({{"other", {4}}}));
  EXPECT_TRUE(absl::StrContains(Complaint(FromPath(index), "path"), "'back' in '2.safetensors'"));
  WriteFile("model.safetensors.index.json",
            R"({"weight_map":{"front":"../1.safetensors","back":"2.safetensors"}})");
  EXPECT_TRUE(absl::StrContains(Complaint(FromPath(index), "path"), "not a file beside the index"));
  WriteFile("model.safetensors.index.json", index_);
  WriteFile("2.safetensors", "torn");
  const absl::Status torn = FromPath(index).status();
  EXPECT_TRUE(absl::StartsWith(torn.message(), "2.safetensors: not a usable")) << torn;
  EXPECT_TRUE(absl::StrContains(
      Complaint(FromUpload({{"1.safetensors", front_}, {"2.safetensors", back_}}), "file"),
      "2 files came without an index"));
  EXPECT_EQ(BlobFiles(), 1u) << "nothing is left behind but the program";
}

TEST_F(CheckpointsTest, NamesMayBeLongerOrShorterButNotUnclear) {
  const Program program = *checkpoints().CreateProgram(Spec(), ProgramFile());
  EXPECT_TRUE(checkpoints().GetProgram("programs/" + program.digest).ok());
  EXPECT_TRUE(checkpoints().GetProgram("programs/" + program.digest.substr(0, 6)).ok());
  EXPECT_EQ(FieldPath(checkpoints().GetProgram("programs/" + program.digest.substr(0, 5)).status()),
            "name");
  EXPECT_EQ(FieldPath(checkpoints().GetProgram("checkpoints/abcdef").status()), "name");
  EXPECT_EQ(FieldPath(checkpoints().GetProgram("").status()), "name");
  EXPECT_EQ(FieldPath(checkpoints().CreateCheckpoint({{}, "", "linear"}).status()), "program");
  std::string unknown = program.digest;
  unknown[0] = unknown[0] == '0' ? '1' : '0';
  EXPECT_TRUE(absl::IsNotFound(checkpoints().GetProgram("programs/" + unknown).status()));

  storage::pb::ProgramRecord twin;
  twin.set_digest(program.digest.substr(0, 12) +
                  std::string(52, program.digest[12] == '0' ? '1' : '0'));
  storage::WriteSet writes;
  writes.Put(storage::ProgramKey(twin.digest()), twin);
  ASSERT_TRUE(store_->catalog().Commit(writes).ok());
  const absl::Status ambiguous = checkpoints().GetProgram(program.name).status();
  EXPECT_TRUE(absl::IsInvalidArgument(ambiguous));
  EXPECT_NE(ambiguous.message().find("ambiguous"), absl::string_view::npos);
  EXPECT_TRUE(checkpoints().GetProgram("programs/" + program.digest).ok());
}

TEST_F(CheckpointsTest, WhatIsNeededIsNotDeleted) {
  const Program program = *checkpoints().CreateProgram(Spec(), ProgramFile());
  const std::string tuned = WriteFile("tuned.safetensors", testing::FakeWeightsFile({1, 2, 4}));
  const Checkpoint checkpoint = *checkpoints().CreateCheckpoint({{}, "", program.name}, tuned);
  EXPECT_EQ(BlobFiles(), 2u);
  const absl::Status refused = checkpoints().DeleteProgram(program.name);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_NE(refused.message().find(checkpoint.name), absl::string_view::npos);
  EXPECT_TRUE(checkpoints().DeleteCheckpoint(checkpoint.name).ok());
  EXPECT_TRUE(checkpoints().DeleteProgram(program.name).ok());
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_TRUE(absl::IsNotFound(checkpoints().DeleteProgram(program.name)));
}

TEST_F(CheckpointsTest, ParametersShowWhatAFilterMoves) {
  const Program program = *checkpoints().CreateProgram(Spec(), ProgramFile());
  const Checkpoint checkpoint = *checkpoints().CreateCheckpoint({{}, "", program.name});
  const ParameterSelection selection =
      *checkpoints().ListParameters(checkpoint.name, {{"fr*"}, {}});
  ASSERT_EQ(selection.parameters.size(), 2u);
  EXPECT_TRUE(selection.parameters[0].moves);
  EXPECT_FALSE(selection.parameters[1].moves);
  EXPECT_EQ(selection.moving_elements, 2);
  EXPECT_EQ(selection.total_elements, 3);
  const absl::Status none =
      checkpoints().ListParameters(checkpoint.name, {{"nothing*"}, {}}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(none));
  EXPECT_EQ(FieldPath(none), "filter.include[0]");
}

TEST_F(CheckpointsTest, ARequestIdStandsForOneProgram) {
  const RequestId request{"default", "once"};
  const Program program = *checkpoints().CreateProgram(Spec(request), ProgramFile());
  EXPECT_EQ(checkpoints().CreateProgram(Spec(request), ProgramFile())->digest, program.digest);
  const std::string other = WriteFile("q.pt2", testing::FakeProgramFile(3, 0, {3, 2, 1}));
  const absl::Status refused = checkpoints().CreateProgram(Spec(request), other).status();
  EXPECT_EQ(FieldPath(refused), "request_id");
  EXPECT_EQ(BlobFiles(), 1u);  // the refused program's file is gone
}

}  // namespace
}  // namespace bif::jobs
