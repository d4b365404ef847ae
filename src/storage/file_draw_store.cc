#include "src/storage/file_draw_store.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/draw_file.h"
#include "src/storage/durable_file.h"
#include "src/storage/live_files.h"

namespace bif::storage {
namespace {

absl::Status Damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: ", absl::string_view(what.data(), what.size())));
}

// Fills all pieces from `offset` on, without a copy in between. A file that is too short is
// DATA_LOSS.
absl::Status ReadExactly(int fd, uint64_t offset, absl::Span<const iovec> pieces,
                         const std::string& path) {
  for (iovec piece : pieces) {
    while (piece.iov_len > 0) {
      const ssize_t got = ::pread(fd, piece.iov_base, piece.iov_len, static_cast<off_t>(offset));
      if (got < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, "read", path);
      }
      if (got == 0) return Damaged(path, "it is cut off");
      piece.iov_base = static_cast<char*>(piece.iov_base) + got;
      piece.iov_len -= static_cast<size_t>(got);
      offset += static_cast<uint64_t>(got);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> OpenForReading(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (errno == ENOENT) return absl::DataLossError(absl::StrCat(path, " is missing"));
  return ErrnoStatus(errno, "open", path);
}

std::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace

// Frames being written, and the checksum of all bytes so far.
class FileDrawStore::FrameFile {
 public:
  static absl::StatusOr<std::unique_ptr<FrameFile>> Create(const std::string& temporary_directory) {
    BIF_ASSIGN_OR_RETURN(auto file, DurableFile::Create(temporary_directory));
    return std::unique_ptr<FrameFile>(new FrameFile(std::move(file)));
  }
  uint64_t offset() const { return file_->bytes(); }
  absl::Status Append(std::string_view bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
    return file_->Append(bytes);
  }
  absl::Status AppendFrame(const FrameHeader& header, std::string_view payload) {
    BIF_RETURN_IF_ERROR(Append(EncodeFrameHeader(header, payload)));
    BIF_RETURN_IF_ERROR(Append(payload));
    return Append(
        std::string(FrameBytes(payload.size()) - kFrameHeaderBytes - payload.size(), '\0'));
  }

  // Gives the file its name. One that has it already was left by a crash or a failed commit, unless
  // the catalog names it.
  absl::StatusOr<pb::FileRecord> Publish(Catalog& catalog, uint64_t posterior,
                                         const std::string& directory, const std::string& name) {
    const std::string path = absl::StrCat(directory, "/", name);
    absl::Status published = file_->Publish(path);
    if (absl::IsAlreadyExists(published)) {
      BIF_ASSIGN_OR_RETURN(const FileNames live, LiveDrawFiles(catalog, posterior));
      if (live.contains(name)) return published;
      BIF_RETURN_IF_ERROR(RemoveFile(path));
      published = file_->Publish(path);
    }
    BIF_RETURN_IF_ERROR(published);
    pb::FileRecord record;
    record.set_name(name);
    record.set_bytes(file_->bytes());
    record.set_checksum(XXH3_64bits_digest(state_.get()));
    return record;
  }

 private:
  explicit FrameFile(std::unique_ptr<DurableFile> file)
      : file_(std::move(file)), state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_64bits_reset(state_.get());
  }

  const std::unique_ptr<DurableFile> file_;
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

std::string FileDrawStore::DirectoryOf(uint64_t posterior) const {
  return absl::StrCat(root_, "/", posterior);
}

// Names come from the catalog; one that leads out of the folder is damage, not a file to touch.
absl::StatusOr<std::string> FileDrawStore::PathOf(uint64_t posterior,
                                                  const std::string& name) const {
  if (name.empty() || name[0] == '.' || absl::StrContains(name, '/')) {
    return absl::DataLossError(
        absl::StrCat("posterior ", posterior, " has a file named '", name, "'"));
  }
  return absl::StrCat(DirectoryOf(posterior), "/", name);
}

absl::StatusOr<std::vector<pb::DrawRecord>> FileDrawStore::WriteDraws(
    uint64_t posterior, uint32_t chain, uint32_t first_draw, absl::Span<const EncodedDraw> draws) {
  std::vector<pb::DrawRecord> records(draws.size());
  if (draws.empty()) return records;
  BIF_RETURN_IF_ERROR(MakeDirectories(DirectoryOf(posterior)));
  BIF_RETURN_IF_ERROR(SyncDirectory(root_));
  BIF_ASSIGN_OR_RETURN(const auto file, FrameFile::Create(temporary_directory_));
  for (size_t i = 0; i < draws.size(); ++i) {
    records[i].set_offset(file->offset());
    records[i].set_bytes(kFrameHeaderBytes + draws[i].payload.size());
    const FrameHeader header = {
        FrameHeader::kDraw, draws[i].codec,         chain, posterior, first_draw + i,
        draws[i].elements,  draws[i].payload.size()};
    BIF_RETURN_IF_ERROR(file->AppendFrame(header, draws[i].payload));
  }
  const std::string name =
      DrawFileName(chain, first_draw, first_draw + static_cast<uint32_t>(draws.size()));
  BIF_ASSIGN_OR_RETURN(const pb::FileRecord published,
                       file->Publish(catalog_, posterior, DirectoryOf(posterior), name));
  for (pb::DrawRecord& record : records) *record.mutable_file() = published;
  return records;
}

absl::StatusOr<EncodedDraw> FileDrawStore::ReadDraw(uint64_t posterior,
                                                    const pb::DrawRecord& record) {
  BIF_ASSIGN_OR_RETURN(const std::string path, PathOf(posterior, record.file().name()));
  const std::string name = absl::StrCat(path, " at byte ", record.offset());
  const bool fits = record.bytes() >= kFrameHeaderBytes &&
                    record.bytes() <= record.file().bytes() &&
                    record.offset() <= record.file().bytes() - record.bytes();
  if (!fits) return Damaged(name, "its catalog record reaches beyond the file");
  BIF_ASSIGN_OR_RETURN(const int fd, OpenForReading(path));
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  BIF_ASSIGN_OR_RETURN(const int64_t file_bytes,
                       FileSize(path));  // before memory is taken for a file that is not there
  if (static_cast<uint64_t>(file_bytes) != record.file().bytes())
    return Damaged(path, "it is cut off");

  char header_bytes[kFrameHeaderBytes];
  EncodedDraw draw;
  draw.payload.resize(record.bytes() - kFrameHeaderBytes);
  BIF_RETURN_IF_ERROR(ReadExactly(
      fd, record.offset(),
      {{header_bytes, sizeof(header_bytes)}, {draw.payload.data(), draw.payload.size()}}, path));
  const std::string_view header_view(header_bytes, sizeof(header_bytes));
  BIF_ASSIGN_OR_RETURN(const FrameHeader header,
                       DecodeFrameHeader(header_view, FrameHeader::kDraw, posterior, name));
  if (header.payload_bytes != draw.payload.size()) return Damaged(name, "wrong length");
  BIF_RETURN_IF_ERROR(CheckPayload(header_view, draw.payload, name));
  draw.codec = header.codec;
  draw.elements = header.elements;
  return draw;
}

absl::StatusOr<pb::FileRecord> FileDrawStore::WriteState(uint64_t posterior, uint32_t chain,
                                                         const State& state) {
  BIF_RETURN_IF_ERROR(MakeDirectories(DirectoryOf(posterior)));
  BIF_RETURN_IF_ERROR(SyncDirectory(root_));
  BIF_ASSIGN_OR_RETURN(const auto file, FrameFile::Create(temporary_directory_));
  // Two frames, so that neither has to be copied next to the other: weights, then second moments.
  for (const std::vector<float>* values : {&state.weights, &state.second_moments}) {
    const std::string_view payload = BytesOf(*values);
    const FrameHeader header = {
        FrameHeader::kState, 0, chain, posterior, state.step, values->size(), payload.size()};
    BIF_RETURN_IF_ERROR(file->AppendFrame(header, payload));
  }
  BIF_ASSIGN_OR_RETURN(
      pb::FileRecord record,
      file->Publish(catalog_, posterior, DirectoryOf(posterior), StateFileName(chain, state.step)));
  record.set_step(state.step);
  return record;
}

absl::StatusOr<DrawStore::State> FileDrawStore::ReadState(uint64_t posterior,
                                                          const pb::FileRecord& record) {
  BIF_ASSIGN_OR_RETURN(const std::string path, PathOf(posterior, record.name()));
  BIF_ASSIGN_OR_RETURN(const int fd, OpenForReading(path));
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  BIF_ASSIGN_OR_RETURN(const int64_t file_bytes, FileSize(path));
  if (static_cast<uint64_t>(file_bytes) != record.bytes()) return Damaged(path, "it is cut off");
  State state;
  uint64_t offset = 0;
  for (std::vector<float>* values : {&state.weights, &state.second_moments}) {
    char header_bytes[kFrameHeaderBytes];
    BIF_RETURN_IF_ERROR(ReadExactly(fd, offset, {{header_bytes, sizeof(header_bytes)}}, path));
    const std::string_view header_view(header_bytes, sizeof(header_bytes));
    BIF_ASSIGN_OR_RETURN(const FrameHeader header,
                         DecodeFrameHeader(header_view, FrameHeader::kState, posterior, path));
    if (header.index != record.step() || header.payload_bytes > record.bytes() ||
        header.elements != header.payload_bytes / sizeof(float)) {
      return Damaged(path, "step or length differ from the catalog's");
    }
    state.step = header.index;
    values->resize(header.elements);
    BIF_RETURN_IF_ERROR(ReadExactly(fd, offset + kFrameHeaderBytes,
                                    {{values->data(), values->size() * sizeof(float)}}, path));
    BIF_RETURN_IF_ERROR(CheckPayload(header_view, BytesOf(*values), path));
    offset += FrameBytes(header.payload_bytes);
  }
  return state;
}

absl::Status FileDrawStore::VerifyFile(uint64_t posterior, const pb::FileRecord& record) {
  BIF_ASSIGN_OR_RETURN(const std::string path, PathOf(posterior, record.name()));
  BIF_ASSIGN_OR_RETURN(const int fd, OpenForReading(path));
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  BIF_ASSIGN_OR_RETURN(const int64_t file_bytes, FileSize(path));
  if (static_cast<uint64_t>(file_bytes) != record.bytes())
    return Damaged(path, absl::StrCat("it has ", file_bytes, " bytes, not ", record.bytes()));
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> checksum(XXH3_createState(),
                                                                          &XXH3_freeState);
  XXH3_64bits_reset(checksum.get());
  std::vector<char> buffer(std::min<uint64_t>(record.bytes(), 1 << 20));
  for (uint64_t offset = 0; offset < record.bytes(); offset += buffer.size()) {
    buffer.resize(std::min<uint64_t>(buffer.size(), record.bytes() - offset));
    BIF_RETURN_IF_ERROR(ReadExactly(fd, offset, {{buffer.data(), buffer.size()}}, path));
    XXH3_64bits_update(checksum.get(), buffer.data(), buffer.size());
  }
  if (XXH3_64bits_digest(checksum.get()) != record.checksum())
    return Damaged(path, "wrong checksum of the file");
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FileDrawStore::DiskBytes(uint64_t posterior) {
  const std::string directory = DirectoryOf(posterior);
  if (!FileExists(directory)) return 0;
  BIF_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFilesRecursively(directory));
  int64_t total = 0;
  for (const std::string& name : names) {
    const absl::StatusOr<int64_t> bytes = FileSize(absl::StrCat(directory, "/", name));
    if (absl::IsNotFound(bytes.status())) continue;  // deleted meanwhile
    BIF_RETURN_IF_ERROR(bytes.status());
    total += *bytes;
  }
  return total;
}

absl::Status FileDrawStore::DeleteFile(uint64_t posterior, const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const std::string path, PathOf(posterior, name));
  absl::ReaderMutexLock lock(&deletion_);
  return RemoveFile(path);
}

absl::Status FileDrawStore::DeletePosterior(uint64_t posterior) {
  absl::ReaderMutexLock lock(&deletion_);
  return RemoveTree(DirectoryOf(posterior));
}

}  // namespace bif::storage
