#include "src/storage/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/digest.h"
#include "tests/support/test_directory.h"

namespace bif::storage {
namespace {

using ::testing::HasSubstr;

TEST(BlobStore, NamesABlobByItsDigest) {
  TestDirectory directory;
  const auto writer = Must(directory.store().blobs().NewBlob());
  Must(writer->Append("hello "));
  EXPECT_EQ(Must(ReadFile(writer->temporary_path())), "hello ") << "to be seen before it is whole";
  Must(writer->Append("world"));
  const std::string digest = Must(writer->Finish());
  EXPECT_EQ(digest, ToHex(Sha256Of("hello world")));
  EXPECT_EQ(Must(ReadFile(directory.store().blobs().PathOf(digest))), "hello world");
}

TEST(BlobStore, DroppedWriterLeavesNothing) {
  TestDirectory directory;
  {
    const auto writer = Must(directory.store().blobs().NewBlob());
    Must(writer->Append("half"));
  }
  EXPECT_TRUE(directory.Files("tmp", "").empty());
  EXPECT_TRUE(directory.Files("blobs", "").empty());
}

TEST(BlobStore, SameBytesTwiceAreOneBlob) {
  TestDirectory directory;
  const std::string source = directory.root() + "/tmp/source";
  Must(WriteFileDurably(directory.root() + "/tmp", source, "bytes"));
  const std::string first = Must(directory.store().blobs().Import(source));
  EXPECT_EQ(Must(directory.store().blobs().Import(source)), first);
  EXPECT_EQ(directory.Files("blobs", "").size(), 1u);
  EXPECT_EQ(directory.store().blobs().Import(source + "-missing").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(BlobStore, DamageIsFoundAndAnotherUploadHeals) {
  TestDirectory directory;
  const auto upload = [&] {
    const auto writer = Must(directory.store().blobs().NewBlob());
    Must(writer->Append("precious"));
    return Must(writer->Finish());
  };
  const std::string digest = upload();
  BlobStore& blobs = directory.store().blobs();
  EXPECT_TRUE(blobs.Verify(digest).ok());
  FlipBit(blobs.PathOf(digest), 3);
  const absl::Status damaged = blobs.Verify(digest);
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(damaged.message()), HasSubstr(digest));
  EXPECT_EQ(upload(), digest);
  EXPECT_TRUE(blobs.Verify(digest).ok());
}

TEST(BlobStore, DeletesBlobsAndNothingElse) {
  TestDirectory directory;
  const auto writer = Must(directory.store().blobs().NewBlob());
  const std::string digest = Must(writer->Finish());
  for (int i = 0; i < 2; ++i) Must(directory.store().blobs().Delete(digest));
  EXPECT_EQ(directory.store().blobs().Verify(digest).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.store().blobs().Delete("../LOCK").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(FileExists(directory.root() + "/LOCK"));
}

}  // namespace
}  // namespace bif::storage
