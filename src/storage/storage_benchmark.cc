// Figures of the storage layer, one a line: name value unit. Ratios are taken within one run, the
// two sides alternating.
//
//   storage_benchmark [directory]     the directory decides which disk is measured; default: the
//   system's temporary one

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/storage/benchmark_tools.h"
#include "src/storage/import/row_source.h"
#include "src/storage/store.h"
#include "src/storage/trace_tile.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

constexpr uint32_t kSlots = 60'000;
constexpr uint32_t kDraws = 400;
constexpr int kThreads = 2;
constexpr int kRepeats = 15;
constexpr double kMebibyte = 1 << 20;

void BenchmarkTraces(Store& store, const std::string& directory) {
  const std::vector<float> values = LossTraces(kSlots, kDraws);
  const double megabytes = static_cast<double>(values.size() * sizeof(float)) / kMebibyte;
  const TraceArray array = {1, 1, 1};
  // In segments of 40 draws, as a sampler would.
  constexpr uint32_t kSegment = 40;
  const double write = Seconds([&] {
    for (uint32_t draw = 0; draw < kDraws; draw += kSegment) {
      Expect(
          store.traces().Write(array, 0, 0, kSlots, draw, kSegment,
                               {values.data() + size_t{draw} * kSlots, size_t{kSegment} * kSlots}));
    }
  });
  Print("trace_write", megabytes / write, "MiB/s");

  std::vector<float> rows(values.size()), plain(values.size());
  const std::string plain_path = absl::StrCat(directory, "/plain");
  const int fd = ::open(plain_path.c_str(), O_RDWR | O_CREAT, 0644);
  for (size_t done = 0; done < values.size() * sizeof(float);) {
    done += static_cast<size_t>(::write(fd, reinterpret_cast<const char*>(values.data()) + done,
                                        values.size() * sizeof(float) - done));
  }
  std::vector<double> scans, plains;
  for (int i = 0; i < kRepeats; ++i) {
    scans.push_back(Seconds([&] {
      InParallel(kThreads, kSlots, [&](uint32_t first, uint32_t slots) {
        Expect(store.traces().Read(array, 0, first, slots, kDraws, kDraws, 0,
                                   {rows.data() + size_t{first} * kDraws, size_t{slots} * kDraws}));
      });
    }));
    // The bound: the same bytes from a plain file through a buffer of a tile's size into place.
    plains.push_back(Seconds([&] {
      InParallel(kThreads, kSlots, [&](uint32_t first, uint32_t slots) {
        std::vector<char> buffer(1 << 18);
        const size_t end = (size_t{first} + slots) * kDraws * sizeof(float);
        for (size_t at = size_t{first} * kDraws * sizeof(float); at < end;) {
          const ssize_t got =
              ::pread(fd, buffer.data(), std::min(buffer.size(), end - at), static_cast<off_t>(at));
          std::memcpy(reinterpret_cast<char*>(plain.data()) + at, buffer.data(),
                      static_cast<size_t>(got));
          at += static_cast<size_t>(got);
        }
      });
    }));
  }
  ::close(fd);
  for (size_t slot = 0; slot < kSlots; slot += 977) {
    for (size_t draw = 0; draw < kDraws; ++draw) {
      if (rows[slot * kDraws + draw] != values[draw * kSlots + slot])
        Expect(absl::InternalError("wrong trace"));
    }
  }
  Print("trace_scan_60k_400", Median(scans), "s");
  Print("trace_scan", megabytes / Median(scans), "MiB/s");
  Print("trace_scan_vs_plain_file", Median(plains) / Median(scans), "x");
  std::vector<double> rows_of_one;
  for (int i = 0; i < 101; ++i) {
    rows_of_one.push_back(Seconds([&] {
      Expect(store.traces().Read(array, 0, static_cast<uint32_t>(i) * 500, 1, kDraws, kDraws, 0,
                                 {rows.data(), size_t{kDraws}}));
    }));
  }
  Print("trace_read_one_row", Median(rows_of_one) * 1e6, "us");
}

void BenchmarkCodec() {
  const std::vector<float> values = LossTraces(kSlots, kDraws);
  size_t stored = 0;
  std::vector<std::string> tiles;
  const TileKey key = {};
  const TileShape shape = {kTileSlots, kTileDraws};
  const double encode = Seconds([&] {
    for (uint32_t slot = 0; slot + kTileSlots <= kSlots; slot += kTileSlots) {
      tiles.push_back(EncodeTile(key, shape, TraceType::kFloat32, values.data() + slot, kSlots));
      stored += tiles.back().size();
    }
  });
  const double megabytes =
      static_cast<double>(tiles.size() * kMaxTileElements * sizeof(float)) / kMebibyte;
  Print("tile_encode", megabytes / encode, "MiB/s");
  Print("tile_compression", megabytes * kMebibyte / static_cast<double>(stored), "x");
  TileReader reader;
  std::vector<float> rows(kMaxTileElements);
  const double open = Seconds([&] {
    for (const std::string& tile : tiles) Expect(reader.Open(key, tile));
  });
  const double decode = Seconds([&] {
    for (const std::string& tile : tiles) {
      Expect(reader.Open(key, tile));
      for (uint32_t s = 0; s < kTileSlots; ++s)
        reader.CopyRow(s, 0, kTileDraws, rows.data() + size_t{s} * kTileDraws);
    }
  });
  Print("tile_verify_and_decompress", megabytes / open, "MiB/s");
  Print("tile_decode", megabytes / decode, "MiB/s");
}

void BenchmarkSamples(Store& store) {
  constexpr int64_t kRows = 60'000, kChunk = 4096;
  std::mt19937 random(3);
  SampleBatch chunk;
  chunk.rows = kChunk;
  chunk.columns.push_back(
      {{"image", DType::kUint8, {28, 28}}, std::vector<std::byte>(kChunk * 784)});
  chunk.columns.push_back({{"label", DType::kInt64, {}}, std::vector<std::byte>(kChunk * 8)});
  for (std::byte& pixel : chunk.columns[0].data)
    pixel = static_cast<std::byte>(random() % 2 == 0 ? 0 : random());
  const double append = Seconds([&] {
    for (int64_t first = 0; first < kRows; first += kChunk) {
      std::vector<std::string> ids;
      for (int64_t i = 0; i < kChunk; ++i) ids.push_back(absl::StrCat("train-", first + i));
      WriteSet writes;
      Expect(store.samples().Write(1, first, chunk, ids, false, writes));
      Expect(store.catalog().Commit(writes));
    }
  });
  Print("sample_append", kRows / append, "rows/s");
  std::vector<uint32_t> all(kRows);
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  Print("sample_read", kRows / Seconds([&] { Expect(store.samples().Read(1, all)); }), "rows/s");
  Print("sample_list_ids",
        kRows / Seconds([&] { Expect(store.samples().ReadHeaders(1, 0, kRows)); }), "rows/s");
}

// From gzipped files to committed, digested and indexed rows.
void BenchmarkImport(Store& store) {
  const std::string folder = "/usr/share/datasets/fashion-mnist/";
  auto opened = OpenIdxFiles({{"image", folder + "train-images-idx3-ubyte.gz"},
                              {"label", folder + "train-labels-idx1-ubyte.gz"}},
                             {{"image", DType::kUint8, {28, 28}}, {"label", DType::kInt64, {}}});
  if (absl::IsNotFound(opened.status())) return;  // the data set is not installed
  const std::unique_ptr<RowSource> source = Expect(std::move(opened));
  int64_t rows = 0;
  const double import = Seconds([&] {
    while (true) {
      const SampleBatch batch = Expect(source->Next(4096));
      if (batch.rows == 0) break;
      std::vector<std::string> ids;
      for (int64_t i = 0; i < batch.rows; ++i) ids.push_back(absl::StrCat("train-", rows + i));
      WriteSet writes;
      Expect(store.samples().Write(2, rows, batch, ids, false, writes));
      Expect(store.catalog().Commit(writes));
      rows += batch.rows;
    }
  });
  Print("import_fashion_mnist", static_cast<double>(rows) / import, "rows/s");
}

void BenchmarkDraws(Store& store) {
  EncodedDraw draw;
  draw.codec = 1;
  draw.elements = 8 << 20;
  draw.payload.assign(8 << 20, 'x');
  const std::vector<EncodedDraw> draws(8, draw);
  const double megabytes = 64;
  std::vector<pb::DrawRecord> records;
  const double write = Seconds([&] { records = Expect(store.draws().WriteDraws(1, 0, 0, draws)); });
  Print("draw_write", megabytes / write, "MiB/s");
  const double read = Seconds([&] {
    for (const pb::DrawRecord& record : records) Expect(store.draws().ReadDraw(1, record));
  });
  Print("draw_read", megabytes / read, "MiB/s");
  WriteSet small;
  small.PutU32(CounterKey("benchmark"), 1);
  std::vector<double> commits;
  for (int i = 0; i < 51; ++i)
    commits.push_back(Seconds([&] { Expect(store.catalog().Commit(small)); }));
  Print("catalog_commit_p50", Median(commits) * 1e6, "us");
}

}  // namespace
}  // namespace bif::storage

int main(int argc, char** argv) {
  if (argc > 1) ::setenv("TMPDIR", argv[1], 1);
  const bif::testing::TempDir directory;
  bif::storage::StoreOptions options;
  options.root = directory / "data";
  const auto store = bif::storage::Expect(bif::storage::OpenStore(options));
  bif::storage::BenchmarkCodec();
  bif::storage::BenchmarkTraces(*store, directory.path());
  bif::storage::BenchmarkSamples(*store);
  bif::storage::BenchmarkImport(*store);
  bif::storage::BenchmarkDraws(*store);
  return 0;
}
