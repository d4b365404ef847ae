// Admin.Backup and Admin.Scrub over gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "bif/v1/admin.pb.h"
#include "src/storage/restore.h"
#include "tests/support/server/linear_regression.h"
#include "tests/support/temp_dir.h"

namespace bif::server::testing {
namespace {

using ::testing::HasSubstr;

class DataStreams : public ::testing::Test {
 protected:
  // The last message, and how the call ended.
  v1::BackupResponse Backup(const std::string& directory, CallEnd& end) {
    v1::BackupRequest request;
    request.set_directory(directory);
    const auto stream = server_.Read("bif.v1.Admin/Backup", request);
    v1::BackupResponse last;
    for (v1::BackupResponse message; stream->Next(message);) last = message;
    end = stream->Finish();
    return last;
  }
  v1::ScrubResponse Scrub(std::vector<v1::ScrubResponse::Damage>& damages, CallEnd& end) {
    const auto stream = server_.Read("bif.v1.Admin/Scrub", v1::ScrubRequest());
    v1::ScrubResponse last;
    for (v1::ScrubResponse message; stream->Next(message);) {
      damages.insert(damages.end(), message.damages().begin(), message.damages().end());
      last = message;
    }
    end = stream->Finish();
    return last;
  }

  bif::testing::TempDir scratch_;
  TestServer server_;
};

TEST_F(DataStreams, ABackupEndsWithWhatItHolds) {
  MakeCheckpoint(server_);
  CallEnd end;
  const v1::BackupResponse last = Backup(scratch_ / "backup", end);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_TRUE(last.done());
  EXPECT_GT(last.files(), 3);
  EXPECT_EQ(last.files_done(), last.files());
  EXPECT_EQ(last.bytes_done(), last.bytes());
  EXPECT_EQ(last.missing_files_size(), 0);
  storage::RestoreOptions options;
  options.backup = scratch_ / "backup";
  options.data_directory = scratch_ / "restored";
  EXPECT_TRUE(storage::RestoreBackup(options).ok());
}

TEST_F(DataStreams, APlaceThatIsNoneIsRefusedInWords) {
  CallEnd end;
  Backup("relative", end);
  EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(end.field, "directory");
  std::ofstream(scratch_ / "file") << "x";
  Backup(scratch_ / "file", end);
  EXPECT_EQ(end.code, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(end.reason, "DIRECTORY_NOT_EMPTY");
  Backup(scratch_ / "no/such/folder", end);
  EXPECT_EQ(end.code, absl::StatusCode::kNotFound);
}

TEST_F(DataStreams, AScrubNamesWhatIsDamaged) {
  MakeCheckpoint(server_);
  std::vector<v1::ScrubResponse::Damage> damages;
  CallEnd end;
  v1::ScrubResponse last = Scrub(damages, end);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_TRUE(last.done());
  EXPECT_GT(last.objects(), 3);
  EXPECT_EQ(last.damaged(), 0);
  EXPECT_TRUE(damages.empty());
  EXPECT_THAT(server_.MetricsText(), HasSubstr("bif_scrub_damaged_objects 0"));

  const auto programs = server_.jobs().store().catalog().Scan<storage::pb::ProgramRecord>(
      storage::KindPrefix(storage::RecordKind::kProgram));
  ASSERT_TRUE(programs.ok() && programs->size() == 1);
  const std::string blob = server_.jobs().store().blobs().PathOf((*programs)[0].second.blob());
  std::filesystem::permissions(blob, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::ofstream(blob, std::ios::app) << "x";
  last = Scrub(damages, end);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_EQ(last.damaged(), 1);
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_THAT(damages[0].object(), HasSubstr("programs/"));
  EXPECT_THAT(damages[0].problem(), HasSubstr(blob));
  EXPECT_FALSE(damages[0].advice().empty());
  EXPECT_THAT(server_.MetricsText(), HasSubstr("bif_scrub_damaged_objects 1"));
  EXPECT_THAT(server_.MetricsText(), HasSubstr("bif_scrub_end_time_seconds"));
}

TEST_F(DataStreams, ARateMustBeANumberThatMeansSomething) {
  v1::ScrubRequest request;
  request.set_mib_per_second(-1);
  const CallEnd end = server_.Read("bif.v1.Admin/Scrub", request)->Finish();
  EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(end.field, "mib_per_second");
}

TEST_F(DataStreams, AScrubEndsWithItsCall) {
  MakeCheckpoint(server_);
  v1::ScrubRequest request;
  request.set_mib_per_second(1e-6);  // it would take days
  const auto stream = server_.Read("bif.v1.Admin/Scrub", request);
  v1::ScrubResponse message;
  ASSERT_TRUE(stream->Next(message));
  stream->Cancel();
  EXPECT_EQ(stream->Finish().code, absl::StatusCode::kCancelled);
  EXPECT_FALSE(server_.jobs().scrubber().last().has_value());
}

TEST(DataStreamRoles, OnlyAdministratorsBackUpAndScrub) {
  TestServer server({.tokens_required = true});
  jobs::Tenants& tenants = server.jobs().tenants();
  const auto token = tenants.CreateToken({"default", jobs::Role::kSubmit, "", {}});
  ASSERT_TRUE(token.ok()) << token.status();
  server.SetMetadata("authorization", "Bearer " + token->secret);
  EXPECT_EQ(server.Read("bif.v1.Admin/Backup", v1::BackupRequest())->Finish().code,
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(server.Read("bif.v1.Admin/Scrub", v1::ScrubRequest())->Finish().code,
            absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace bif::server::testing
