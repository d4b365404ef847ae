#include "src/engine/program_file/zip_archive.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::engine {
namespace {

using ::testing::HasSubstr;

struct Item {
  std::string name;
  std::string data;
  uint16_t method = 0;
};

// Little endian; bytes beyond those of a uint64_t are 0.
void Put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(i < 8 ? value >> (8 * i) : 0));
}

struct ZipOptions {
  bool zip64 = false;
  std::string comment;
  int64_t local_offset_error = 0;  // added to every offset in the directory
  uint64_t claimed_entries = 0;    // 0: as many as there are
};

std::string Zip(const std::vector<Item>& items, const ZipOptions& options = {}) {
  std::string out;
  std::string directory;
  for (const Item& item : items) {
    const uint64_t offset = out.size() + static_cast<uint64_t>(options.local_offset_error);
    Put(out, 0x04034b50, 4);
    Put(out, 0, 4);
    Put(out, item.method, 2);
    Put(out, 0, 8);
    Put(out, item.data.size(), 4);
    Put(out, item.data.size(), 4);
    Put(out, item.name.size(), 2);
    Put(out, 3, 2);  // an extra field of 3 bytes
    out += item.name + "pad" + item.data;

    Put(directory, 0x02014b50, 4);
    Put(directory, 0, 6);
    Put(directory, item.method, 2);
    Put(directory, 0, 8);
    Put(directory, options.zip64 ? 0xffffffff : item.data.size(), 4);
    Put(directory, options.zip64 ? 0xffffffff : item.data.size(), 4);
    Put(directory, item.name.size(), 2);
    Put(directory, options.zip64 ? 28 : 0, 2);
    Put(directory, 0, 10);
    Put(directory, options.zip64 ? 0xffffffff : offset, 4);
    directory += item.name;
    if (options.zip64) {
      Put(directory, 1, 2);
      Put(directory, 24, 2);
      Put(directory, item.data.size(), 8);
      Put(directory, item.data.size(), 8);
      Put(directory, offset, 8);
    }
  }
  const uint64_t entries = options.claimed_entries != 0 ? options.claimed_entries : items.size();
  const uint64_t directory_offset = out.size();
  out += directory;
  if (options.zip64) {
    const uint64_t end64 = out.size();
    Put(out, 0x06064b50, 4);
    Put(out, 44, 8);
    Put(out, 0, 12);
    Put(out, entries, 8);
    Put(out, entries, 8);
    Put(out, directory.size(), 8);
    Put(out, directory_offset, 8);
    Put(out, 0x07064b50, 4);
    Put(out, 0, 4);
    Put(out, end64, 8);
    Put(out, 1, 4);
  }
  Put(out, 0x06054b50, 4);
  Put(out, 0, 4);
  Put(out, options.zip64 ? 0xffff : entries, 2);
  Put(out, options.zip64 ? 0xffff : entries, 2);
  Put(out, options.zip64 ? 0xffffffff : directory.size(), 4);
  Put(out, options.zip64 ? 0xffffffff : directory_offset, 4);
  Put(out, options.comment.size(), 2);
  return out + options.comment;
}

void ExpectRefused(const std::string& bytes, const std::string& part) {
  const auto archive = ZipArchive::Parse(bytes);
  EXPECT_EQ(archive.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(archive.status().message()), HasSubstr(part));
}

TEST(ZipArchive, GivesTheBytesOfEveryEntry) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes =
        Zip({{"a/one", "first"}, {"a/empty", ""}, {"b", "second"}}, {zip64, "a comment"});
    const auto archive = ZipArchive::Parse(bytes);
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_EQ(archive->entries().size(), 3u);
    EXPECT_EQ(archive->entries().at("a/one"), "first");
    EXPECT_EQ(archive->entries().at("a/empty"), "");
    EXPECT_EQ(archive->entries().at("b"), "second");
  }
}

TEST(ZipArchive, MissingFileIsNotFound) {
  EXPECT_EQ(ZipArchive::Open("/nonexistent.pt2").status().code(), absl::StatusCode::kNotFound);
}

TEST(ZipArchive, RefusesCompressedEntriesByName) {
  ExpectRefused(Zip({{"a", "x"}, {"packed", "y", 8}}), "'packed' is compressed");
}

TEST(ZipArchive, RefusesTwoEntriesOfOneName) {
  ExpectRefused(Zip({{"a", "x"}, {"a", "y"}}), "'a' is there twice");
}

TEST(ZipArchive, RefusesOffsetsThatPointElsewhere) {
  ZipOptions options;
  options.local_offset_error = 1;
  ExpectRefused(Zip({{"a", "x"}}, options), "no header at offset 1");
  options.local_offset_error = 1'000'000;
  ExpectRefused(Zip({{"a", "x"}}, options), "no header at offset 1000000");
  options.zip64 = true;
  options.local_offset_error = -1;
  ExpectRefused(Zip({{"a", "x"}}, options), "no header at offset 18446744073709551615");
}

TEST(ZipArchive, RefusesEntriesThatShareBytes) {
  // Two directory lines of different names cannot point at one header, so the overlap is made of a
  // header inside data.
  const std::string inner = Zip({{"in", "abc"}}).substr(0, 30 + 2 + 3 + 3);
  std::string bytes = Zip({{"outer", inner}, {"in", "abc"}});
  const size_t directory = bytes.rfind("PK\x01\x02");
  bytes[directory + 42] =
      static_cast<char>(30 + 5 + 3);  // the second entry's header now lies in the first one's data
  ExpectRefused(bytes, "overlaps");
}

TEST(ZipArchive, RefusesACountThatTheDirectoryDoesNotHold) {
  ExpectRefused(Zip({{"a", "x"}}, {false, "", 0, 2}), "directory is damaged");
  ExpectRefused(Zip({{"a", "x"}}, {true, "", 0, 1ull << 40}), "claims 1099511627776 entries");
}

TEST(ZipArchive, EveryCutIsRefused) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = Zip({{"a/one", "first"}, {"b", "second"}}, {zip64});
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(ZipArchive::Parse(std::string_view(bytes).substr(0, size)).ok()) << size;
    }
  }
}

TEST(ZipArchive, NoFlippedBitLeadsOutside) {
  for (const bool zip64 : {false, true}) {
    const std::string good = Zip({{"a/one", "first"}, {"b", "second"}}, {zip64});
    for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
      std::string bytes = good;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      const auto archive = ZipArchive::Parse(bytes);
      if (!archive.ok()) continue;
      for (const auto& [name, data] : archive->entries()) {
        EXPECT_GE(data.data(), bytes.data());
        EXPECT_LE(data.data() + data.size(), bytes.data() + bytes.size());
      }
    }
  }
}

}  // namespace
}  // namespace bif::engine
