// What it costs to lose nothing, one figure a line: name value unit. Ratios are taken within one
// run, the two sides alternating.
//
//   durability_benchmark [directory]     the directory decides which disk is measured; default: the
//   system's temporary one
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/base/write_all.h"
#include "src/storage/benchmark_tools.h"
#include "src/storage/store.h"
#include "src/storage/trace_tile.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

constexpr uint32_t kSlots = 60'000;
constexpr uint32_t kDraws = 400;
constexpr uint32_t kSegmentDraws = 40;
constexpr int kThreads = 2;
constexpr int kRounds = 7;
constexpr size_t kFileBuffer = 1 << 18;

std::unique_ptr<Store> OpenAt(const std::string& root) {
  StoreOptions options;
  options.root = root;
  return Expect(OpenStore(options));
}

void Commit(Store& store) {
  WriteSet writes;
  writes.PutU32(CounterKey("benchmark"), 1);
  Expect(store.catalog().Commit(writes));
}

void WriteTiles(Store& store, uint64_t posterior, const std::vector<float>& values) {
  for (uint32_t draw = 0; draw < kDraws; draw += kSegmentDraws) {
    Expect(store.traces().Write(
        {posterior, 1, 1}, 0, 0, kSlots, draw, kSegmentDraws,
        {values.data() + size_t{draw} * kSlots, size_t{kSegmentDraws} * kSlots}));
    Commit(store);
  }
}

// The same bytes, as often synced.
void WritePlainFile(const std::string& path, const std::vector<float>& values) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  constexpr size_t kSegmentBytes = size_t{kSegmentDraws} * kSlots * sizeof(float);
  for (uint32_t segment = 0; segment < kDraws / kSegmentDraws; ++segment) {
    Expect(WriteAll(
        fd, {reinterpret_cast<const char*>(values.data()) + segment * kSegmentBytes, kSegmentBytes},
        path));
    ::fdatasync(fd);
  }
  ::close(fd);
}

void ScanTiles(Store& store, std::vector<float>& rows) {
  InParallel(kThreads, kSlots, [&](uint32_t first, uint32_t slots) {
    Expect(store.traces().Read({1, 1, 1}, 0, first, slots, kDraws, kDraws, 0,
                               {rows.data() + size_t{first} * kDraws, size_t{slots} * kDraws}));
  });
}

// Through a buffer of a tile's size into place, as a reader of a file of rows would.
void ScanPlainFile(const std::string& path, std::vector<float>& rows) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  InParallel(kThreads, kSlots, [&](uint32_t first, uint32_t slots) {
    std::vector<char> buffer(kFileBuffer);
    const size_t end = (size_t{first} + slots) * kDraws * sizeof(float);
    for (size_t at = size_t{first} * kDraws * sizeof(float); at < end;) {
      const ssize_t got =
          ::pread(fd, buffer.data(), std::min(buffer.size(), end - at), static_cast<off_t>(at));
      if (got <= 0) Expect(absl::InternalError("cannot read"));
      std::memcpy(reinterpret_cast<char*>(rows.data()) + at, buffer.data(),
                  static_cast<size_t>(got));
      at += static_cast<size_t>(got);
    }
  });
  ::close(fd);
}

// Drops a file's, or all files' below a folder, pages from memory, so that reading means the disk.
void Forget(const std::string& path) {
  const auto drop = [](const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDONLY);
    if (fd < 0) return;
    ::fdatasync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  };
  if (!std::filesystem::is_directory(path)) return drop(path);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    if (entry.is_regular_file()) drop(entry.path());
}

void BenchmarkTiles(const std::string& directory) {
  const std::vector<float> values = LossTraces(kSlots, kDraws);
  const std::string root = directory + "/tiles", plain = directory + "/plain";
  const auto store = OpenAt(root);
  WriteSet writes;  // else the next start would sweep the tiles
  pb::PosteriorRecord record;
  record.set_number(1);
  writes.Put(PosteriorKey("k"), record);
  Expect(store->catalog().Commit(writes));
  std::vector<double> tile_writes, file_writes;
  for (int round = 0; round < kRounds; ++round) {
    Expect(store->traces().DeletePosterior(1));
    tile_writes.push_back(Seconds([&] { WriteTiles(*store, 1, values); }));
    file_writes.push_back(Seconds([&] { WritePlainFile(plain, values); }));
  }
  Print("tile_write_vs_file", Median(file_writes) / Median(tile_writes), "x");

  std::vector<float> rows(values.size());
  std::vector<double> cold_tiles, cold_file, warm_tiles, warm_file;
  for (int round = 0; round < kRounds; ++round) {
    Forget(root);
    cold_tiles.push_back(Seconds([&] { ScanTiles(*store, rows); }));
    warm_tiles.push_back(Seconds([&] { ScanTiles(*store, rows); }));
    Forget(plain);
    cold_file.push_back(Seconds([&] { ScanPlainFile(plain, rows); }));
    warm_file.push_back(Seconds([&] { ScanPlainFile(plain, rows); }));
  }
  const double megabytes = static_cast<double>(values.size() * sizeof(float)) / (1 << 20);
  Print("tile_scan_vs_file", Median(cold_file) / Median(cold_tiles), "x");
  Print("tile_scan_warm_vs_file", Median(warm_file) / Median(warm_tiles), "x");
  Print("tile_scan", megabytes / Median(cold_tiles), "MiB/s");
  Print("tile_scan_warm", megabytes / Median(warm_tiles), "MiB/s");

  // Both checksums of a scan, RocksDB's of the block and ours of the tile, are XXH3 of what is
  // stored.
  std::vector<std::string> tiles;
  for (uint32_t slot = 0; slot + kTileSlots <= kSlots; slot += kTileSlots) {
    tiles.push_back(EncodeTile({}, {kTileSlots, kTileDraws}, TraceType::kFloat32,
                               values.data() + slot, kSlots));
  }
  std::vector<double> checksums, scans;
  uint64_t sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    checksums.push_back(Seconds([&] {
      for (const std::string& tile : tiles) sum += Checksum(tile) + Checksum(tile);
    }));
    scans.push_back(Seconds([&] {  // one thread, as many bytes
      Expect(store->traces().Read({1, 1, 1}, 0, 0, kSlots, kTileDraws, kDraws, 0,
                                  absl::MakeSpan(rows)));
    }));
  }
  if (sum == 0) std::printf("unlikely\n");  // the sums are not to be left out
  Print("checksum_cost_pct", 100 * Median(checksums) / Median(scans), "%");
}

void BenchmarkRecovery(const std::string& directory) {
  constexpr int64_t kRows = 250'000, kChunk = 4096;
  const std::string root = directory + "/rows", crashed = directory + "/crashed";
  {
    const auto store = OpenAt(root);
    SampleBatch chunk;
    chunk.rows = kChunk;
    chunk.columns.push_back({{"x", DType::kUint8, {16}}, std::vector<std::byte>(kChunk * 16)});
    WriteSet dataset_writes;
    pb::DatasetRecord dataset;
    dataset.set_number(1);
    dataset_writes.Put(DatasetKey("d"), dataset);
    Expect(store->catalog().Commit(dataset_writes));
    for (int64_t first = 0; first < kRows; first += kChunk) {
      std::vector<std::string> ids;
      for (int64_t i = 0; i < kChunk; ++i) ids.push_back(absl::StrCat("train-", first + i));
      WriteSet writes;
      Expect(store->samples().Write(1, first, chunk, ids, false, writes));
      Expect(store->catalog().Commit(writes));
    }
    // As kill -9 would leave it: the log is still to be replayed.
    std::filesystem::copy(root, crashed, std::filesystem::copy_options::recursive);
  }
  const std::clock_t before = std::clock();
  const double seconds = Seconds([&] { OpenAt(crashed); });
  const double processor =
      static_cast<double>(std::clock() - before) / static_cast<double>(CLOCKS_PER_SEC);
  Print("recovery_seconds_per_million_rows", seconds * 1e6 / kRows, "s");
  Print("recovery_processor_seconds_per_million_rows", processor * 1e6 / kRows, "s");
}

void BenchmarkBackup(const std::string& directory) {
  const std::string root = directory + "/tiles";
  const auto store = OpenAt(root);
  EncodedDraw draw;
  draw.payload.assign(32 << 20, 'x');
  WriteSet writes;
  for (uint32_t file = 0; file < 16; ++file) {
    writes.Put(DrawKey(1, 0, file), Expect(store->draws().WriteDraws(1, 0, file, {draw}))[0]);
  }
  Expect(store->catalog().Commit(writes));
  BackupOptions options;
  for (const bool copy : {false, true}) {
    options.directory = std::filesystem::absolute(directory + (copy ? "/copied" : "/linked"));
    options.copy = copy;
    BackupReport report;
    const double seconds = Seconds([&] { report = Expect(store->Backup(options)); });
    Print(copy ? "backup_copy_seconds_per_gb" : "backup_seconds_per_gb",
          seconds * 1e9 / static_cast<double>(report.bytes), "s");
  }
}

}  // namespace
}  // namespace bif::storage

int main(int argc, char** argv) {
  if (argc > 1) ::setenv("TMPDIR", argv[1], 1);
  const bif::testing::TempDir directory;
  bif::storage::BenchmarkTiles(directory.path());
  bif::storage::BenchmarkRecovery(directory.path());
  bif::storage::BenchmarkBackup(directory.path());
  return 0;
}
