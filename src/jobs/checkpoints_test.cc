#include "src/jobs/checkpoints.h"

#include <filesystem>

#include "src/base/status.h"
#include "tests/support/jobs_fixture.h"

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
  const absl::StatusOr<Program> uploaded = checkpoints().CreateProgram(Spec(), std::move(upload));
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
