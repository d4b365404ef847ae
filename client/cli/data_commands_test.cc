#include "gmock/gmock.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

using DataCommands = BifctlTest;

v1::BackupResponse DoneBackup() {
  v1::BackupResponse done;
  done.set_done(true);
  done.set_files(12);
  done.set_bytes(3 << 20);
  return done;
}

TEST_F(DataCommands, BackupSaysWhatItMadeAndHowToUseIt) {
  server_.backup = [](const v1::BackupRequest& request, std::vector<v1::BackupResponse>& out) {
    EXPECT_EQ(request.directory(), "/backups/monday");
    EXPECT_TRUE(request.copy());
    out.emplace_back().set_bytes(3 << 20);
    out.push_back(DoneBackup());
    return Ok();
  };
  Ran ran = Bifctl("backup /backups/monday --copy");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("/backups/monday"), HasSubstr("12"), HasSubstr("3.0 MiB")));
  EXPECT_THAT(ran.err, HasSubstr("bifd restore /backups/monday DIRECTORY"));
  ran = Bifctl("backup /backups/monday --copy --quiet");
  EXPECT_EQ(ran.out, "/backups/monday\n");
  EXPECT_THAT(Bifctl("backup /backups/monday --copy --json").out, HasSubstr("\"done\": true"));
}

TEST_F(DataCommands, ABackupWithoutAnEndIsNone) {
  server_.backup = [](const v1::BackupRequest&, std::vector<v1::BackupResponse>& out) {
    out.emplace_back().set_bytes(3 << 20);
    return Ok();
  };
  EXPECT_EQ(Bifctl("backup /b").exit_code, 1);
  server_.backup = [](const v1::BackupRequest&, std::vector<v1::BackupResponse>&) {
    return MakeError(14, "gone");
  };
  const int before = server_.calls("Backup");
  EXPECT_EQ(Bifctl("backup /b").exit_code, 1);
  EXPECT_EQ(server_.calls("Backup"), before + 1) << "it is not repeated";
}

TEST_F(DataCommands, FilesThatWereMissingBeforeAreNamed) {
  server_.backup = [](const v1::BackupRequest&, std::vector<v1::BackupResponse>& out) {
    out.push_back(DoneBackup());
    out.back().add_missing_files("draws/1/a.draws");
    return Ok();
  };
  const Ran ran = Bifctl("backup /b");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("draws/1/a.draws"), HasSubstr("bifctl scrub")));
}

TEST_F(DataCommands, ScrubNamesWhatIsDamagedAndExitsWithOne) {
  server_.scrub = [](const v1::ScrubRequest& request, std::vector<v1::ScrubResponse>& out) {
    EXPECT_EQ(request.mib_per_second(), 20);
    auto* damage = out.emplace_back().add_damages();
    damage->set_object("draw 4 of chain 1 of posteriors/abc");
    damage->set_problem("wrong checksum");
    damage->set_advice("restore a backup");
    out.emplace_back().set_done(true);
    out.back().set_objects(100);
    out.back().set_damaged(1);
    return Ok();
  };
  Ran ran = Bifctl("scrub --mib-per-second 20");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("draw 4 of chain 1 of posteriors/abc"),
                             HasSubstr("wrong checksum"), HasSubstr("restore a backup")));
  EXPECT_THAT(ran.err, HasSubstr("1 of 100 objects"));
  ran = Bifctl("scrub --mib-per-second 20 --json");
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 2);
}

TEST_F(DataCommands, ACleanScrubExitsWithZero) {
  server_.scrub = [](const v1::ScrubRequest&, std::vector<v1::ScrubResponse>& out) {
    out.emplace_back().set_objects(1);
    out.emplace_back().set_done(true);
    return Ok();
  };
  Ran ran = Bifctl("scrub");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, IsEmpty());
  server_.scrub = [](const v1::ScrubRequest&, std::vector<v1::ScrubResponse>& out) {
    out.emplace_back().set_objects(1);
    return Ok();
  };
  ran = Bifctl("scrub");
  EXPECT_EQ(ran.exit_code, 1) << "a scrub that does not end has not seen all";
}

}  // namespace
}  // namespace bif::client
