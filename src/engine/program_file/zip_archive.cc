#include "src/engine/program_file/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64LocatorSignature = 0x07064b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64LocatorBytes = 20;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kDirectoryEntryBytes = 46;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kMaxCommentBytes = 65535;
constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint16_t kEncryptedFlag = 1;
constexpr uint16_t kZip64Extra = 1;
constexpr uint32_t kSee64 = 0xffffffff;  // "the number is in the zip64 record"

absl::Status Bad(absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("not a usable zip archive: ", message));
}

absl::Status BadEntry(std::string_view name, absl::string_view message) {
  return Bad(absl::StrCat("entry '", std::string(name.substr(0, 200)), "' ", message));
}

// Little endian numbers at an offset. The caller has checked that they lie inside `bytes`.
template <typename Number>
Number Read(std::string_view bytes, uint64_t offset) {
  Number value = 0;
  for (size_t i = sizeof(Number); i-- > 0;) {
    value = static_cast<Number>(static_cast<uint64_t>(value) << 8 |
                                static_cast<uint8_t>(bytes[offset + i]));
  }
  return value;
}

bool Inside(std::string_view bytes, uint64_t offset, uint64_t size) {
  return offset <= bytes.size() && size <= bytes.size() - offset;
}

struct Directory {
  uint64_t entries = 0;
  uint64_t bytes = 0;
  uint64_t offset = 0;
};

// The end record is the last thing in the file but for a comment of up to 64 KiB.
std::optional<uint64_t> FindEndRecord(std::string_view bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const uint64_t last = bytes.size() - kEndBytes;
  const uint64_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (uint64_t at = last + 1; at-- > first;) {
    if (Read<uint32_t>(bytes, at) == kEndSignature &&
        Inside(bytes, at + kEndBytes, Read<uint16_t>(bytes, at + 20))) {
      return at;
    }
  }
  return std::nullopt;
}

absl::StatusOr<Directory> FindDirectory(std::string_view bytes) {
  const std::optional<uint64_t> end = FindEndRecord(bytes);
  if (!end) return Bad("it has no end record; it may be cut off, or no .pt2 file at all");
  if (Read<uint16_t>(bytes, *end + 4) != Read<uint16_t>(bytes, *end + 6))
    return Bad("it is split over several files");

  Directory directory;
  const uint64_t locator = *end >= kEnd64LocatorBytes ? *end - kEnd64LocatorBytes : *end;
  if (locator != *end && Read<uint32_t>(bytes, locator) == kEnd64LocatorSignature) {
    const auto end64 = Read<uint64_t>(bytes, locator + 8);
    if (!Inside(bytes, end64, kEnd64Bytes) || Read<uint32_t>(bytes, end64) != kEnd64Signature) {
      return Bad("its zip64 end record is not where it should be");
    }
    directory.entries = Read<uint64_t>(bytes, end64 + 32);
    directory.bytes = Read<uint64_t>(bytes, end64 + 40);
    directory.offset = Read<uint64_t>(bytes, end64 + 48);
  } else {
    directory.entries = Read<uint16_t>(bytes, *end + 10);
    directory.bytes = Read<uint32_t>(bytes, *end + 12);
    directory.offset = Read<uint32_t>(bytes, *end + 16);
  }
  if (!Inside(bytes, directory.offset, directory.bytes))
    return Bad("its directory lies outside of the file");
  if (directory.entries > kMaxEntries)
    return Bad(absl::StrCat("it claims ", directory.entries, " entries"));
  return directory;
}

// One line of the directory.
struct Entry {
  std::string_view name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint64_t packed_bytes = 0;
  uint64_t bytes = 0;
  uint64_t local_offset = 0;
};

// Replaces numbers that did not fit 32 bits by those of the zip64 field, which come in this order
// and only where needed.
absl::Status ApplyZip64(std::string_view extra, Entry& entry) {
  while (extra.size() >= 4) {
    const auto id = Read<uint16_t>(extra, 0);
    const auto size = Read<uint16_t>(extra, 2);
    if (!Inside(extra, 4, size)) break;
    if (id == kZip64Extra) {
      std::string_view field = extra.substr(4, size);
      for (uint64_t* number : {&entry.bytes, &entry.packed_bytes, &entry.local_offset}) {
        if (*number != kSee64) continue;
        if (field.size() < 8) return BadEntry(entry.name, "has a zip64 field that is too short");
        *number = Read<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
      return absl::OkStatus();
    }
    extra.remove_prefix(4 + size);
  }
  return absl::OkStatus();
}

// Reads the directory line at the front of `rest` and moves behind it.
absl::StatusOr<Entry> NextEntry(std::string_view& rest) {
  if (rest.size() < kDirectoryEntryBytes || Read<uint32_t>(rest, 0) != kDirectorySignature) {
    return Bad("its directory is damaged or shorter than its count of entries");
  }
  const auto name_bytes = Read<uint16_t>(rest, 28);
  const auto extra_bytes = Read<uint16_t>(rest, 30);
  const uint64_t total = kDirectoryEntryBytes + name_bytes + extra_bytes + Read<uint16_t>(rest, 32);
  if (!Inside(rest, 0, total)) return Bad("its directory is cut off");
  Entry entry;
  entry.name = rest.substr(kDirectoryEntryBytes, name_bytes);
  entry.flags = Read<uint16_t>(rest, 8);
  entry.method = Read<uint16_t>(rest, 10);
  entry.packed_bytes = Read<uint32_t>(rest, 20);
  entry.bytes = Read<uint32_t>(rest, 24);
  entry.local_offset = Read<uint32_t>(rest, 42);
  BIF_RETURN_IF_ERROR(
      ApplyZip64(rest.substr(kDirectoryEntryBytes + name_bytes, extra_bytes), entry));
  rest.remove_prefix(total);
  return entry;
}

// The entry's bytes: they stand behind a local header that must carry the same name.
absl::StatusOr<std::string_view> Locate(std::string_view bytes, const Entry& entry) {
  if (entry.method != 0) {
    return BadEntry(
        entry.name,
        "is compressed; only stored entries are read, as torch.export.save writes them");
  }
  if ((entry.flags & kEncryptedFlag) != 0) return BadEntry(entry.name, "is encrypted");
  if (entry.bytes != entry.packed_bytes)
    return BadEntry(entry.name, "is stored with two different sizes");
  if (!Inside(bytes, entry.local_offset, kLocalBytes) ||
      Read<uint32_t>(bytes, entry.local_offset) != kLocalSignature) {
    return BadEntry(entry.name, absl::StrCat("has no header at offset ", entry.local_offset));
  }
  const auto name_bytes = Read<uint16_t>(bytes, entry.local_offset + 26);
  const auto extra_bytes = Read<uint16_t>(bytes, entry.local_offset + 28);
  const uint64_t name_offset = entry.local_offset + kLocalBytes;
  if (!Inside(bytes, name_offset, name_bytes) ||
      bytes.substr(name_offset, name_bytes) != entry.name) {
    return BadEntry(entry.name, "has another name in its own header");
  }
  const uint64_t data_offset = name_offset + name_bytes + extra_bytes;
  if (!Inside(bytes, data_offset, entry.bytes)) {
    return BadEntry(entry.name, absl::StrCat("of ", entry.bytes, " bytes at offset ", data_offset,
                                             " goes beyond the file's ", bytes.size(), " bytes"));
  }
  return bytes.substr(data_offset, entry.bytes);
}

absl::Status CheckNoOverlap(const ZipArchive::Entries& entries) {
  std::vector<std::pair<std::string_view, std::string>> by_offset;  // bytes, name
  for (const auto& [name, bytes] : entries) {
    if (!bytes.empty()) by_offset.emplace_back(bytes, name);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const std::string_view before = by_offset[i - 1].first;
    if (before.data() + before.size() > by_offset[i].first.data()) {
      return BadEntry(by_offset[i].second,
                      absl::StrCat("overlaps '", by_offset[i - 1].second, "'"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(const std::string& path) {
  BIF_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  auto file = std::make_shared<const MappedFile>(std::move(mapped));
  BIF_ASSIGN_OR_RETURN(ZipArchive archive, Parse(file->bytes()));
  archive.file_ = std::move(file);
  return archive;
}

absl::StatusOr<ZipArchive> ZipArchive::Parse(std::string_view bytes) {
  BIF_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(bytes));
  std::string_view rest = bytes.substr(directory.offset, directory.bytes);
  ZipArchive archive;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    BIF_ASSIGN_OR_RETURN(const Entry entry, NextEntry(rest));
    BIF_ASSIGN_OR_RETURN(const std::string_view data, Locate(bytes, entry));
    if (!archive.entries_.emplace(std::string(entry.name), data).second) {
      return BadEntry(entry.name, "is there twice");
    }
  }
  BIF_RETURN_IF_ERROR(CheckNoOverlap(archive.entries_));
  return archive;
}

}  // namespace bif::engine
