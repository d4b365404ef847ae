#include "src/storage/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "src/base/status.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

void PutFile(const std::string& path, const std::string& bytes) { std::ofstream(path) << bytes; }

std::string PutBlob(Store& store, const std::string& bytes) {
  const auto writer = Must(store.blobs().NewBlob());
  Must(writer->Append(bytes));
  return Must(writer->Finish());
}

TEST(Store, SecondOpenerIsRefusedAndToldWhoHoldsTheDirectory) {
  TestDirectory directory;
  StoreOptions options;
  options.root = directory.root();
  const absl::Status second = OpenStore(options).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr(directory.root()));
  EXPECT_THAT(std::string(second.message()), HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(Reason(second), "DATA_DIRECTORY_IN_USE");
  directory.Reopen();  // closing gives the lock back
}

TEST(Store, NewerFormatIsRefusedAndUntouched) {
  TestDirectory directory;
  pb::StoreHeader header;
  header.set_format_version(kFormatVersion + 1);
  header.set_created_by("the future");
  WriteSet writes;
  writes.Put(HeaderKey(), header);
  Must(directory.store().catalog().Commit(writes));
  directory.Close();
  PutFile(directory.root() + "/draws/unknown", "of a newer kind");
  const absl::Status opened = directory.TryOpen();
  EXPECT_EQ(opened.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(opened.message()), HasSubstr("the future"));
  EXPECT_TRUE(FileExists(directory.root() + "/draws/unknown"));
}

TEST(Store, OlderFormatIsReadAndRaised) {
  TestDirectory directory;
  pb::StoreHeader header;
  header.set_format_version(1);
  header.set_created_by("the past");
  WriteSet writes;
  writes.Put(HeaderKey(), header);
  Must(directory.store().catalog().Commit(writes));
  directory.Reopen();
  // So that the build that made it refuses what it could not read.
  const auto raised = Must(directory.store().catalog().Get<pb::StoreHeader>(HeaderKey()));
  EXPECT_EQ(raised.format_version(), kFormatVersion);
  EXPECT_EQ(raised.created_by(), "the past");
}

// Format 1 kept one blob a checkpoint, as a string.
TEST(Store, ACheckpointOfFormatOneKeepsItsWeights) {
  TestDirectory directory;
  const std::string blob = PutBlob(directory.store(), "weights");
  WriteSet writes;
  const std::string field_4 = "\x22" + std::string(1, static_cast<char>(blob.size())) + blob;
  writes.PutBytes(CheckpointKey("c"), field_4);
  Must(directory.store().catalog().Commit(writes));
  directory.Reopen();
  EXPECT_TRUE(directory.store().blobs().Verify(blob).ok());
}

TEST(Store, StartSweepsWhatTheCatalogDoesNotName) {
  TestDirectory directory;
  Store& store = directory.store();
  const std::string program_blob = PutBlob(store, "program");
  const std::string weights_blob = PutBlob(store, "weights");
  const std::string more_weights_blob = PutBlob(store, "more weights");
  const std::string stray_blob = PutBlob(store, "stray");
  EncodedDraw draw;
  draw.payload = "draw";
  const auto draws = Must(store.draws().WriteDraws(3, 0, 0, {draw}));
  const auto stray_draws = Must(store.draws().WriteDraws(3, 0, 1, {draw}));
  Must(store.draws().WriteDraws(4, 0, 0, {draw}));
  const pb::FileRecord state = Must(store.draws().WriteState(3, 0, {100, {1.0f}, {}}));
  Must(store.draws().WriteState(3, 0, {200, {1.0f}, {}}));
  const std::vector<float> loss = {0.5f};
  Must(store.traces().Write({3, 1, 1}, 0, 0, 1, 0, 1, loss));
  Must(store.traces().Write({4, 1, 1}, 0, 0, 1, 0, 1, loss));

  WriteSet writes;
  pb::ProgramRecord program;
  program.set_blob(program_blob);
  writes.Put(ProgramKey("p"), program);
  pb::CheckpointRecord checkpoint;
  checkpoint.add_blobs(weights_blob);
  checkpoint.add_blobs(more_weights_blob);
  writes.Put(CheckpointKey("c"), checkpoint);
  pb::PosteriorRecord posterior;
  posterior.set_number(3);
  *posterior.add_chains()->add_states() = state;
  writes.Put(PosteriorKey("k"), posterior);
  writes.Put(DrawKey(3, 0, 0), draws[0]);
  Must(store.catalog().Commit(writes));
  PutFile(directory.root() + "/tmp/half", "written");

  directory.CrashAndReopen();
  Store& opened = directory.store();
  // A blob, a draw file and a state of posterior 3, the draws of 4, and tmp/half.
  EXPECT_EQ(opened.recovery().swept_files, 5);
  EXPECT_GT(opened.recovery().swept_bytes, 0);
  EXPECT_TRUE(opened.blobs().Verify(program_blob).ok());
  EXPECT_TRUE(opened.blobs().Verify(weights_blob).ok());
  EXPECT_TRUE(opened.blobs().Verify(more_weights_blob).ok());
  EXPECT_EQ(opened.blobs().Verify(stray_blob).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(opened.draws().ReadDraw(3, draws[0]).ok());
  EXPECT_FALSE(opened.draws().ReadDraw(3, stray_draws[0]).ok());
  EXPECT_TRUE(opened.draws().ReadState(3, state).ok());
  EXPECT_FALSE(FileExists(directory.root() + "/draws/4"));
  EXPECT_TRUE(directory.Files("tmp", "").empty());
  std::vector<float> value(1);
  EXPECT_TRUE(opened.traces().Read({3, 1, 1}, 0, 0, 1, 1, 1, 0, absl::MakeSpan(value)).ok());
  EXPECT_FALSE(opened.traces().Read({4, 1, 1}, 0, 0, 1, 1, 1, 0, absl::MakeSpan(value)).ok());
  directory.Reopen();
  EXPECT_EQ(directory.store().recovery().swept_files, 0);
}

TEST(Store, SampleBlocksOfNoDatasetAreSwept) {
  TestDirectory directory;
  SampleBatch batch;
  batch.rows = 1;
  batch.columns.push_back({{"x", DType::kUint8, {}}, std::vector<std::byte>(1)});
  WriteSet writes;
  Must(directory.store().samples().Write(1, 0, batch, {"a"}, false, writes));
  Must(directory.store().catalog().Commit(writes));  // rows, but no dataset record
  directory.Reopen();
  EXPECT_EQ(directory.store().samples().Read(1, {0}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(directory.store().catalog().GetU32(SampleIndexKey(1, "a")).ok());
}

TEST(Store, DamagedCatalogCostsNobodysFiles) {
  TestDirectory directory;
  const std::string blob = PutBlob(directory.store(), "program");
  WriteSet writes;
  pb::ProgramRecord program;
  program.set_blob(blob);
  writes.Put(ProgramKey("p"), program);
  writes.PutBytes(PosteriorKey("k"), "\xff\xff");  // cannot be parsed
  Must(directory.store().catalog().Commit(writes));
  PutBlob(directory.store(), "stray");
  directory.Close();
  EXPECT_EQ(directory.TryOpen().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(directory.Files("blobs", "").size(), 2u);
}

TEST(Store, RefusesWorkThatWouldFillTheDisk) {
  TestDirectory directory;
  EXPECT_TRUE(directory.store().HasSpaceFor(1).ok());
  const int64_t free = Must(directory.store().FreeDiskBytes());
  const absl::Status refused = directory.store().HasSpaceFor(free + (int64_t{1} << 40));
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Reason(refused), "DISK_FULL");
  EXPECT_TRUE(directory.store().HasSpaceFor(1).ok()) << "and agrees again when there is room";
}

}  // namespace
}  // namespace bif::storage
