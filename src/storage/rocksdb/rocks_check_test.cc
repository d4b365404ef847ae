#include "src/storage/rocksdb/rocks_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "src/storage/rocksdb/database.h"
#include "src/storage/sample_block.h"
#include "src/storage/trace_tile.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RocksCheckTest : public ::testing::Test {
 protected:
  RocksCheckTest() {
    RocksOptions options;
    options.path = scratch_ / "db";
    options.temporary_path = scratch_.path();
    options.log = [](std::string_view) {};
    database_ = *Database::Open(options);
  }
  void Put(rocksdb::ColumnFamilyHandle* family, const std::string& key, const std::string& value) {
    ASSERT_TRUE(database_->db().Put({}, family, key, value).ok());
  }
  std::vector<std::string> Check() {
    std::vector<std::string> problems;
    CheckOptions options;
    options.on_damage = [&](const Damage& damage) { problems.push_back(damage.problem); };
    CheckRun run(options);
    EXPECT_TRUE(CheckDatabase(*database_, Owners(), run).ok());
    return problems;
  }
  static std::string TileOf(const TileKey& key) {
    const float values[] = {1, 2};
    return EncodeTile(key, {2, 1}, TraceType::kFloat32, values, 2);
  }

  testing::TempDir scratch_;
  std::unique_ptr<Database> database_;
};

// Bytes that were wrong before RocksDB got them, or that lie under the wrong key: its own checksums
// are right, ours are not.
TEST_F(RocksCheckTest, ValuesHaveChecksumsOfTheirOwn) {
  const TileKey tile = {{3, 1 << 16, 2}, 0, 256, 64};
  const TileKey other = {{3, 1 << 16, 2}, 0, 512, 64};
  Put(database_->traces(), tile.Encode(), TileOf(tile));
  EXPECT_THAT(Check(), IsEmpty());
  std::string damaged = TileOf(other);
  damaged[44] ^= 1;
  Put(database_->traces(), other.Encode(), damaged);
  EXPECT_THAT(Check(), ElementsAre(HasSubstr(other.ToString() + " is damaged")));
  Put(database_->traces(), other.Encode(), TileOf(tile));
  EXPECT_THAT(Check(), ElementsAre(HasSubstr(other.ToString() + " is damaged")));
  ASSERT_TRUE(database_->FinishLog().ok());
  EXPECT_THAT(Check(), ElementsAre(HasSubstr(other.ToString() + " is damaged")));
  Put(database_->traces(), other.Encode(), TileOf(other));
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(RocksCheckTest, SampleBlocksAndRecordsAreCheckedToo) {
  const BlockKey identities = {3, BlockKind::kIdentities, 0};
  Put(database_->samples(), identities.Encode(), EncodeIdentities(identities, {{"a", Digest{}}}));
  EXPECT_THAT(Check(), IsEmpty());
  const BlockKey tensors = {3, BlockKind::kTensors, 0};
  Put(database_->samples(), tensors.Encode(), "SBLK and then nothing");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr(tensors.ToString() + " is damaged")));
  Put(database_->catalog(), "\x04key", "\xff\xff");
  Put(database_->catalog(),
      "\x7f"
      "a kind of the future",
      "x");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("catalog record 046b6579"),
                                   HasSubstr("catalog record 7f61"), HasSubstr("is damaged")));
}

TEST_F(RocksCheckTest, KeysThatAreTooShortAreDamage) {
  Put(database_->traces(), "short", "x");
  Put(database_->samples(), "s", "x");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("1 bytes"), HasSubstr("5 bytes")));
}

}  // namespace
}  // namespace bif::storage
