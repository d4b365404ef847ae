#include "src/storage/rocksdb/rocks_check.h"

#include <rocksdb/convenience.h>
#include <rocksdb/iterator.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"
#include "src/storage/catalog_record_check.h"
#include "src/storage/sample_block.h"
#include "src/storage/trace_tile.h"

namespace bif::storage {
namespace {

// An iterator keeps the files of its moment, so a slow check takes a new one now and then.
constexpr int64_t kIteratorBytes = 64 << 20;
constexpr size_t kReadaheadBytes = 512 << 10;

// One column family: how its keys and values are checked and spoken of.
struct Family {
  rocksdb::ColumnFamilyHandle* handle;
  // DATA_LOSS that names the object.
  std::function<absl::Status(std::string_view key, std::string_view value)> check;
  // Whose the key is: "traces of posteriors/...".
  std::function<std::string(std::string_view key)> owner;
  const char* advice;
};

absl::Status CheckTile(std::string_view key, std::string_view value) {
  static thread_local TileReader reader;
  if (key.size() != kTileKeyBytes)
    return absl::DataLossError(
        absl::StrCat("a tile's key has ", key.size(), " bytes, not ", kTileKeyBytes));
  return reader.Open(TileKey::Decode(key), value);
}

absl::Status CheckBlock(std::string_view bytes, std::string_view value) {
  if (bytes.size() != kBlockKeyBytes)
    return absl::DataLossError(
        absl::StrCat("a sample block's key has ", bytes.size(), " bytes, not ", kBlockKeyBytes));
  const BlockKey key = BlockKey::Decode(bytes);
  return key.kind == BlockKind::kIdentities ? DecodeIdentities(key, value).status()
                                            : DecodeTensors(key, value).status();
}

std::vector<Family> FamiliesOf(Database& database, const Owners& owners) {
  return {
      {database.catalog(), CheckCatalogRecord,
       [](std::string_view) { return std::string("catalog records"); }, "restore a backup"},
      {database.samples(), CheckBlock,
       [&owners](std::string_view key) {
         if (key.size() < sizeof(uint32_t)) return std::string("samples");
         return absl::StrCat("samples of ", owners.DatasetName(ReadBigEndian<uint32_t>(key, 0)));
       },
       "restore a backup, or delete the dataset and import it again"},
      {database.traces(), CheckTile,
       [&owners](std::string_view key) {
         if (key.size() < sizeof(uint64_t)) return std::string("traces");
         return absl::StrCat("traces of ", owners.PosteriorName(ReadBigEndian<uint64_t>(key, 0)));
       },
       "restore a backup, or delete the posterior and sample it again: the same settings and seed "
       "give the same draws"},
      {database.own(), [](std::string_view, std::string_view) { return absl::OkStatus(); },
       [](std::string_view) { return std::string("nothing of anybody's"); },
       "restore a backup: the database may refuse to work with it"},
  };
}

std::vector<rocksdb::LiveFileMetaData> TablesOf(Database& database, const std::string& family) {
  std::vector<rocksdb::LiveFileMetaData> all, tables;
  database.db().GetLiveFilesMetaData(&all);
  for (rocksdb::LiveFileMetaData& table : all) {
    if (table.column_family_name == family) tables.push_back(std::move(table));
  }
  return tables;
}

bool IsLive(Database& database, const rocksdb::LiveFileMetaData& table) {
  const auto tables = TablesOf(database, table.column_family_name);
  return std::any_of(tables.begin(), tables.end(),
                     [&](const auto& other) { return other.name == table.name; });
}

// Reads the blocks of each table; gives the damaged ones.
absl::StatusOr<std::vector<rocksdb::LiveFileMetaData>> CheckTables(Database& database,
                                                                   const Family& family,
                                                                   CheckRun& run) {
  // Not the options of the database: what is read here must not push anything out of its cache.
  rocksdb::BlockBasedTableOptions table_options;
  table_options.no_block_cache = true;
  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options));
  std::vector<rocksdb::LiveFileMetaData> damaged;
  for (rocksdb::LiveFileMetaData& table : TablesOf(database, family.handle->GetName())) {
    const rocksdb::Status verified =
        rocksdb::VerifySstFileChecksum(options, rocksdb::EnvOptions(), rocksdb::ReadOptions(),
                                       table.db_path + table.name, table.largest_seqno);
    BIF_RETURN_IF_ERROR(run.Looked(static_cast<int64_t>(table.size)));
    // One that compaction has replaced meanwhile is nobody's any more.
    if (verified.ok() || !IsLive(database, table)) continue;
    const std::string first = family.owner(table.smallestkey);
    const std::string last = family.owner(table.largestkey);
    run.Found({absl::StrCat("the table db", table.name, ", which holds ", first,
                            last == first ? "" : absl::StrCat(" up to ", last)),
               verified.ToString(), family.advice});
    damaged.push_back(std::move(table));
  }
  return damaged;
}

// The first key behind the damaged table in which a scan ended that was about to read `next`; empty
// if there is none.
std::string BehindDamage(const std::vector<rocksdb::LiveFileMetaData>& damaged,
                         const std::string& next) {
  std::string behind;
  for (const rocksdb::LiveFileMetaData& table : damaged) {
    const std::string end = table.largestkey + '\0';
    if (end > next && (behind.empty() || end < behind)) behind = end;
  }
  return behind;
}

// Reads every value as a reader would see it. What damaged tables hide was reported with them.
absl::Status CheckValues(Database& database, const Family& family,
                         const std::vector<rocksdb::LiveFileMetaData>& damaged, CheckRun& run) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = kReadaheadBytes;
  std::string next;
  while (true) {
    const std::unique_ptr<rocksdb::Iterator> entry(
        database.db().NewIterator(options, family.handle));
    int64_t read = 0;
    for (entry->Seek(next); entry->Valid() && read < kIteratorBytes; entry->Next()) {
      const auto bytes = static_cast<int64_t>(entry->key().size() + entry->value().size());
      BIF_RETURN_IF_ERROR(run.Looked(bytes));
      const absl::Status right = family.check(ToView(entry->key()), ToView(entry->value()));
      if (!right.ok()) {
        run.Found(
            {family.owner(ToView(entry->key())), std::string(right.message()), family.advice});
      }
      read += bytes;
      next = entry->key().ToString() + '\0';  // the very next possible key
    }
    if (entry->Valid()) continue;
    if (entry->status().ok()) return absl::OkStatus();
    next = BehindDamage(damaged, next);
    if (next.empty()) {
      run.Found({absl::StrCat("the column family ", family.handle->GetName()),
                 entry->status().ToString(), family.advice});
      return absl::OkStatus();
    }
  }
}

}  // namespace

absl::Status CheckDatabase(Database& database, const Owners& owners, CheckRun& run) {
  for (const Family& family : FamiliesOf(database, owners)) {
    BIF_ASSIGN_OR_RETURN(const auto damaged, CheckTables(database, family, run));
    BIF_RETURN_IF_ERROR(CheckValues(database, family, damaged, run));
  }
  return absl::OkStatus();
}

}  // namespace bif::storage
