// Draw files and chain states as a damaged or foreign disk might hold them. The checksums are put
// right first, as whoever forges a file would do: what is behind them has to stand by itself.
//
// The first byte is 0 for a draw file, 1 for a chain state.
#include <filesystem>
#include <fstream>
#include <vector>

#include "src/base/digest.h"
#include "src/storage/draw_file.h"
#include "src/storage/file_draw_store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

using namespace bif;
using storage::FrameHeader;
using storage::kFrameHeaderBytes;

namespace {

constexpr uint64_t kPosterior = 7;
constexpr uint64_t kStep = 3;

// docs/storage_format.md: checksum of the payload at 48, of bytes 0-55 at 56.
void Seal(std::string& file, size_t at) {
  if (at > file.size() || file.size() - at < kFrameHeaderBytes) return;
  uint64_t payload_bytes = 0;
  std::memcpy(&payload_bytes, file.data() + at + 40, sizeof(payload_bytes));
  const std::string_view payload =
      std::string_view(file).substr(at + kFrameHeaderBytes, payload_bytes);
  const uint64_t payload_checksum = Checksum(payload);
  std::memcpy(file.data() + at + 48, &payload_checksum, sizeof(payload_checksum));
  const uint64_t header_checksum = Checksum(std::string_view(file).substr(at, 56));
  std::memcpy(file.data() + at + 56, &header_checksum, sizeof(header_checksum));
  if (payload_bytes < file.size()) Seal(file, at + storage::FrameBytes(payload_bytes));
}

void CheckHeader(std::string_view file) {
  for (const auto kind : {FrameHeader::kDraw, FrameHeader::kState}) {
    const auto header = storage::DecodeFrameHeader(file, kind, kPosterior, "file");
    if (!header.ok()) {
      fuzz::RequireRefusal(header.status(), absl::StatusCode::kDataLoss);
      continue;
    }
    fuzz::Require(header->kind == kind && header->posterior == kPosterior, "kind and posterior");
    const std::string again = storage::EncodeFrameHeader(*header, "payload");
    const auto second = storage::DecodeFrameHeader(again, kind, kPosterior, "file");
    fuzz::Require(second.ok() && second->codec == header->codec && second->chain == header->chain &&
                      second->index == header->index && second->elements == header->elements &&
                      second->payload_bytes == header->payload_bytes,
                  "a header, written down again, is the same");
  }
}

// Reading files asks no catalog.
class NoCatalog : public storage::Catalog {
 public:
  absl::Status Commit(const storage::WriteSet&) override { return Unasked(); }
  absl::StatusOr<std::string> GetBytes(const storage::RecordKey&) override { return Unasked(); }
  absl::StatusOr<uint32_t> GetU32(const storage::RecordKey&) override { return Unasked(); }
  absl::StatusOr<std::vector<std::optional<uint32_t>>> GetU32s(
      const std::vector<storage::RecordKey>&) override {
    return Unasked();
  }
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ScanBytes(
      const storage::RecordKey&, const std::string&, size_t) override {
    return Unasked();
  }
  absl::StatusOr<uint64_t> NextNumber(const std::string&) override { return Unasked(); }

 private:
  static absl::Status Unasked() { return absl::InternalError("no catalog"); }
};

// A store of one file, which each input writes anew.
class OneFile {
 public:
  OneFile() { std::filesystem::create_directories(folder_ / std::to_string(kPosterior)); }
  storage::DrawStore& store() { return store_; }
  storage::pb::FileRecord Write(const std::string& bytes) {
    storage::pb::FileRecord record;
    record.set_name("file");
    record.set_bytes(bytes.size());
    record.set_checksum(Checksum(bytes));
    record.set_step(kStep);
    std::ofstream file(folder_ / (std::to_string(kPosterior) + "/file"), std::ios::binary);
    file << bytes;
    return record;
  }

 private:
  bif::testing::TempDir folder_;
  NoCatalog catalog_;
  absl::Mutex deletion_;
  storage::FileDrawStore store_ = {folder_.path(), folder_.path(), catalog_, deletion_};
};

void CheckDraw(storage::DrawStore& store, storage::pb::DrawRecord record, std::string_view file) {
  const auto draw = store.ReadDraw(kPosterior, record);
  if (!draw.ok()) {
    fuzz::RequireRefusal(draw.status(), absl::StatusCode::kDataLoss);
    return;
  }
  fuzz::Require(draw->payload == file.substr(record.offset() + kFrameHeaderBytes,
                                             record.bytes() - kFrameHeaderBytes),
                "a draw's payload is what stands in the file");
}

void CheckState(storage::DrawStore& store, const storage::pb::FileRecord& record,
                std::string_view file) {
  const auto state = store.ReadState(kPosterior, record);
  if (!state.ok()) {
    fuzz::RequireRefusal(state.status(), absl::StatusCode::kDataLoss);
    return;
  }
  fuzz::Require(state->step == kStep, "the state is the one that was asked for");
  const size_t weights = state->weights.size() * sizeof(float);
  fuzz::Require(file.size() >= 2 * kFrameHeaderBytes + weights, "the weights were in the file");
  fuzz::Require(weights == 0 || std::memcmp(state->weights.data(), file.data() + kFrameHeaderBytes,
                                            weights) == 0,
                "and are those");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static OneFile one_file;
  fuzz::Input input(data, size);
  const bool is_state = input.TakeBelow(2) == 1;
  storage::pb::DrawRecord draw;
  draw.set_offset(input.Take<uint8_t>() * kFrameHeaderBytes);
  std::string file(input.rest());
  CheckHeader(file);
  Seal(file, 0);
  CheckHeader(file);
  const storage::pb::FileRecord record = one_file.Write(file);
  fuzz::Require(one_file.store().VerifyFile(kPosterior, record).ok(),
                "a file with its checksum is whole");
  if (is_state) {
    CheckState(one_file.store(), record, file);
    return 0;
  }
  // A record that says a frame of the length that the file has from there on, or of its first one.
  *draw.mutable_file() = record;
  draw.set_bytes(file.size() > draw.offset() ? file.size() - draw.offset() : 0);
  CheckDraw(one_file.store(), draw, file);
  uint64_t payload_bytes = 0;
  if (file.size() >= kFrameHeaderBytes)
    std::memcpy(&payload_bytes, file.data() + 40, sizeof(payload_bytes));
  draw.set_offset(0);
  draw.set_bytes(kFrameHeaderBytes + payload_bytes);
  CheckDraw(one_file.store(), draw, file);
  return 0;
}
