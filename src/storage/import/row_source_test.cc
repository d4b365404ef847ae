#include "src/storage/import/row_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "tests/support/temp_dir.h"

namespace bif::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Number>
std::vector<Number> Numbers(const Column& column) {
  std::vector<Number> numbers(column.data.size() / sizeof(Number));
  std::memcpy(numbers.data(), column.data.data(), column.data.size());
  return numbers;
}

std::string BigEndian32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string Idx(char type, const std::vector<uint32_t>& shape, const std::string& values) {
  std::string bytes = {'\0', '\0', type, static_cast<char>(shape.size())};
  for (const uint32_t dimension : shape) bytes += BigEndian32(dimension);
  return bytes + values;
}

// The message, or "" if all went well, of opening and reading to the end.
absl::Status Drain(absl::StatusOr<std::unique_ptr<RowSource>> source) {
  if (!source.ok()) return source.status();
  while (true) {
    const absl::StatusOr<SampleBatch> batch = (*source)->Next(2);
    if (!batch.ok()) return batch.status();
    if (batch->rows == 0) return absl::OkStatus();
  }
}

class RowSourceTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& bytes) {
    std::ofstream(scratch_ / name, std::ios::binary) << bytes;
    return scratch_ / name;
  }
  std::string PutGzip(const std::string& name, const std::string& bytes) {
    const gzFile file = ::gzopen((scratch_ / name).c_str(), "wb");
    ::gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    ::gzclose(file);
    return scratch_ / name;
  }
  // One tensor "x" of the given dtype and shape, and perhaps more, as a safetensors file.
  std::string PutSafetensors(const std::string& header, const std::string& bytes) {
    std::string file(8, '\0');
    const uint64_t length = header.size();
    std::memcpy(file.data(), &length, sizeof(length));
    return Put("columns.safetensors", file + header + bytes);
  }
  void ExpectRefused(const absl::Status& status, const std::string& path, const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  const bif::testing::TempDir scratch_;
  const std::string images_ = Idx(0x08, {3, 1, 2}, "abcdef");
  const std::string labels_ = Idx(0x08, {3}, std::string("\x05\x00\x09", 3));
};

TEST_F(RowSourceTest, IdxFilesFillColumnsInTheDatasetsOrder) {
  for (const bool gzip : {false, true}) {
    const std::string images = gzip ? PutGzip("i.gz", images_) : Put("i", images_);
    const std::string labels = gzip ? PutGzip("l.gz", labels_) : Put("l", labels_);
    auto source = OpenIdxFiles({{"image", images}, {"label", labels}},
                               {{"label", DType::kInt64, {}}, {"image", DType::kUint8, {2}}});
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ((*source)->rows(), 3);
    const SampleBatch first = *(*source)->Next(2);
    ASSERT_EQ(first.rows, 2);
    EXPECT_EQ(first.columns[0].spec.name, "label");
    EXPECT_THAT(Numbers<int64_t>(first.columns[0]), ElementsAre(5, 0));
    EXPECT_THAT(Numbers<char>(first.columns[1]), ElementsAre('a', 'b', 'c', 'd'));
    const SampleBatch second = *(*source)->Next(2);
    ASSERT_EQ(second.rows, 1);
    EXPECT_THAT(Numbers<int64_t>(second.columns[0]), ElementsAre(9));
    EXPECT_EQ((*source)->Next(2)->rows, 0);
  }
}

TEST_F(RowSourceTest, IdxColumnsAreAsInTheFileUnlessDeclared) {
  auto source = OpenIdxFiles({{"image", Put("i", images_)}, {"label", Put("l", labels_)}}, {});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT((*source)->columns(), ElementsAre(TensorSpec{"image", DType::kUint8, {1, 2}},
                                                TensorSpec{"label", DType::kUint8, {}}));
}

TEST_F(RowSourceTest, IdxNumbersAreBigEndian) {
  const std::string path = Put("i", Idx(0x0C, {2}, BigEndian32(258) + BigEndian32(~0u)));
  auto source = OpenIdxFiles({{"x", path}}, {{"x", DType::kInt64, {}}});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(Numbers<int64_t>((*source)->Next(10)->columns[0]), ElementsAre(258, -1));
  const std::string floats = Put("f", Idx(0x0D, {1}, BigEndian32(0x3fc00000)));
  source = OpenIdxFiles({{"x", floats}}, {});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(Numbers<float>((*source)->Next(10)->columns[0]), ElementsAre(1.5f));
}

TEST_F(RowSourceTest, EveryCutOfAnIdxFileIsRefusedWithPathAndByte) {
  for (size_t length = 0; length < images_.size(); ++length) {
    const std::string path = Put("cut", images_.substr(0, length));
    ExpectRefused(Drain(OpenIdxFiles({{"image", path}}, {})), path, "byte");
  }
}

TEST_F(RowSourceTest, EveryCutOfAGzippedFileIsRefused) {
  const std::string whole = *ReadFile(PutGzip("whole.gz", images_));
  for (size_t length = 1; length < whole.size(); ++length) {
    const std::string path = Put("cut.gz", whole.substr(0, length));
    ExpectRefused(Drain(OpenIdxFiles({{"image", path}}, {})), path, "byte");
  }
  std::string damaged = whole;
  damaged[whole.size() - 6] ^= 1;  // in the checksum
  ExpectRefused(Drain(OpenIdxFiles({{"image", Put("bad.gz", damaged)}}, {})), "bad.gz", "damaged");
}

TEST_F(RowSourceTest, WhatIsWrongWithAnIdxFileIsSaid) {
  const auto drain = [&](const std::string& path) {
    return Drain(OpenIdxFiles({{"image", path}}, {{"image", DType::kUint8, {2}}}));
  };
  ExpectRefused(drain(Put("a", "\x01" + images_.substr(1))), "/a", "magic number at byte 0");
  ExpectRefused(drain(Put("b", Idx(0x0E, {1, 2}, std::string(16, '\0')))), "/b", "magic number");
  ExpectRefused(drain(Put("c", images_ + "z")), "/c", "after the last row, at byte 22");
  ExpectRefused(drain(PutGzip("d", images_ + "z")), "/d", "after the last row, at byte 22");
  ExpectRefused(drain(Put("e", Idx(0x08, {3, 3}, "abcdefghi"))), "/e", "shape [3]");
  ExpectRefused(drain(Put("f", Idx(0x0D, {1, 2}, std::string(8, '\0')))), "/f", "float32");
  ExpectRefused(drain(Put("g", Idx(0x08, {1, 1u << 31, 1u << 31}, ""))), "/g", "at byte 8");
  ExpectRefused(drain(Put("h", Idx(0x09, {1, 2}, "\xff\x01"))), "/h", "value -1 at byte 12");
  EXPECT_EQ(drain(scratch_ / "none").code(), absl::StatusCode::kNotFound);
  ExpectRefused(drain(scratch_.path()), scratch_.path(), "not a regular file");
}

TEST_F(RowSourceTest, IdxFilesMustFitTogether) {
  const std::string images = Put("i", images_), labels = Put("l", Idx(0x08, {2}, "ab"));
  ExpectRefused(Drain(OpenIdxFiles({{"image", images}, {"label", labels}}, {})), labels, "2 rows");
  ExpectRefused(Drain(OpenIdxFiles({{"image", images}, {"image", images}}, {})), images, "already");
  ExpectRefused(Drain(OpenIdxFiles({{"other", images}}, {{"image", DType::kUint8, {2}}})), images,
                "no column 'other'");
  ExpectRefused(Drain(OpenIdxFiles({{"image", images}},
                                   {{"image", DType::kUint8, {2}}, {"label", DType::kInt64, {}}})),
                "", "'label'");
  EXPECT_EQ(OpenIdxFiles({}, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RowSourceTest, SkippedRowsAreGone) {
  auto source = OpenIdxFiles({{"image", Put("i", images_)}}, {});
  ASSERT_TRUE(source.ok());
  ASSERT_TRUE(SkipRows(**source, 2).ok());
  EXPECT_THAT(Numbers<char>((*source)->Next(10)->columns[0]), ElementsAre('e', 'f'));
  EXPECT_TRUE(SkipRows(**source, 100).ok());
}

std::string CifarRecord(char label) {
  return label + std::string(3072, static_cast<char>(label + 1));
}

TEST_F(RowSourceTest, CifarFilesFollowEachOther) {
  const std::string a = Put("a", CifarRecord(3) + CifarRecord(4)), b = Put("b", CifarRecord(9));
  auto source = OpenCifarRecords({a, b}, "image", "label", {});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->rows(), 3);
  std::vector<int64_t> labels;
  while (true) {
    const absl::StatusOr<SampleBatch> batch = (*source)->Next(4096);
    ASSERT_TRUE(batch.ok()) << batch.status();
    if (batch->rows == 0) break;
    ASSERT_EQ(batch->columns[0].data.size(), static_cast<size_t>(batch->rows) * 3072);
    for (const int64_t label : Numbers<int64_t>(batch->columns[1])) {
      const size_t row = labels.size() == 2 ? 0 : labels.size();
      EXPECT_EQ(batch->columns[0].data[row * 3072 + 3071], static_cast<std::byte>(label + 1));
      labels.push_back(label);
    }
  }
  EXPECT_THAT(labels, ElementsAre(3, 4, 9));
}

TEST_F(RowSourceTest, WhatIsWrongWithCifarRecordsIsSaid) {
  const std::string record = CifarRecord(3);
  ExpectRefused(Drain(OpenCifarRecords({Put("a", record + record.substr(1))}, "i", "l", {})), "/a",
                "cut off after byte 3073");
  ExpectRefused(Drain(OpenCifarRecords({Put("b", record + CifarRecord(10))}, "i", "l", {})), "/b",
                "label 10 at byte 3073");
  ExpectRefused(Drain(OpenCifarRecords({Put("c", "")}, "i", "l", {})), "/c", "records");
  ExpectRefused(Drain(OpenCifarRecords({Put("d", record)}, "i", "l", {{"i", DType::kUint8, {3}}})),
                "", "two columns");
  EXPECT_EQ(Drain(OpenCifarRecords({scratch_ / "none"}, "i", "l", {})).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(RowSourceTest, SafetensorsColumnsAreFoundByName) {
  const std::string path = PutSafetensors(
      R"({"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"x":{"dtype":"I32","shape":[2,1],"data_offsets":[2,10]}})",
      std::string("\x07\x08", 2) + std::string("\x01\x00\x00\x00\xff\xff\xff\xff", 8));
  auto source = OpenSafetensorsColumns(path, {{"x", DType::kInt64, {}}, {"y", DType::kInt32, {}}});
  ASSERT_TRUE(source.ok()) << source.status();
  const SampleBatch batch = *(*source)->Next(100);
  EXPECT_THAT(Numbers<int64_t>(batch.columns[0]), ElementsAre(1, -1));
  EXPECT_THAT(Numbers<int32_t>(batch.columns[1]), ElementsAre(7, 8));
  EXPECT_EQ((*source)->Next(100)->rows, 0);
  EXPECT_TRUE(Drain(OpenSafetensorsColumns(path, {})).ok());
}

// Two rows of 1 and 3 tokens, and a mask; uint8 in the file.
constexpr char kRaggedHeader[] =
    R"({"tokens":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
    R"("tokens.lengths":{"dtype":"I64","shape":[2],"data_offsets":[4,20]},)"
    R"("mask":{"dtype":"BOOL","shape":[4],"data_offsets":[20,24]},)"
    R"("mask.lengths":{"dtype":"U8","shape":[2],"data_offsets":[24,26]}})";
std::string RaggedData(int64_t first_length, int64_t second_length) {
  std::string data = "\x05\x06\x07\x08";
  for (const int64_t length : {first_length, second_length})
    data.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return data + std::string("\x01\x00\x01\x01\x01\x03", 6);
}
const std::vector<TensorSpec> kRaggedColumns = {{"tokens", DType::kInt32, {-1}},
                                                {"mask", DType::kBool, {-1}}};

TEST_F(RowSourceTest, SafetensorsRowsMayHaveLengthsOfTheirOwn) {
  const std::string path = PutSafetensors(kRaggedHeader, RaggedData(1, 3));
  for (const auto& columns : std::vector<std::vector<TensorSpec>>{kRaggedColumns, {}}) {
    auto source = OpenSafetensorsColumns(path, columns);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ((*source)->rows(), 2);
    const SampleBatch batch = *(*source)->Next(100);
    EXPECT_TRUE(ValidateBatch(batch, (*source)->columns()).ok());
    const Column& tokens = *batch.Find("tokens");
    EXPECT_EQ(tokens.RowShape(0), std::vector<int64_t>{1});
    EXPECT_EQ(tokens.RowShape(1), std::vector<int64_t>{3});
    EXPECT_EQ(batch.Find("mask")->row_ends, (std::vector<uint64_t>{1, 4}));
    if (tokens.spec.dtype == DType::kInt32) {
      EXPECT_THAT(Numbers<int32_t>(tokens), ElementsAre(5, 6, 7, 8));
    }
  }
  // Row by row it is the same.
  auto source = OpenSafetensorsColumns(path, kRaggedColumns);
  ASSERT_TRUE(SkipRows(**source, 1).ok());
  const SampleBatch second = *(*source)->Next(1);
  EXPECT_THAT(Numbers<int32_t>(second.columns[0]), ElementsAre(6, 7, 8));
  EXPECT_EQ(second.columns[0].row_ends, std::vector<uint64_t>{12});
  EXPECT_EQ((*source)->Next(1)->rows, 0);
}

TEST_F(RowSourceTest, SafetensorsRowsOfOneLengthFillAVariableColumn) {
  const std::string path =
      PutSafetensors(R"({"x":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}})", "abcdef");
  const std::vector<TensorSpec> columns = {{"x", DType::kUint8, {-1}}};
  auto source = OpenSafetensorsColumns(path, columns);
  ASSERT_TRUE(source.ok()) << source.status();
  const SampleBatch batch = *(*source)->Next(100);
  EXPECT_TRUE(ValidateBatch(batch, columns).ok());
  EXPECT_EQ(batch.columns[0].row_ends, (std::vector<uint64_t>{3, 6}));
}

TEST_F(RowSourceTest, WhatIsWrongWithRowLengthsIsSaid) {
  const auto drain = [&](int64_t first, int64_t second) {
    return Drain(OpenSafetensorsColumns(PutSafetensors(kRaggedHeader, RaggedData(first, second)),
                                        kRaggedColumns));
  };
  EXPECT_TRUE(drain(2, 2).ok());
  ExpectRefused(drain(0, 4), "'tokens.lengths'", "row 0 has length 0");
  ExpectRefused(drain(5, -1), "'tokens.lengths'", "rows up to 0 have more");
  ExpectRefused(drain(1, int64_t{1} << 62), "'tokens.lengths'", "rows up to 1 have more");
  ExpectRefused(drain(1, 2), "'tokens.lengths'", "together have 3");
  const std::string path = PutSafetensors(
      R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"x.lengths":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      "abcdefgh");
  ExpectRefused(Drain(OpenSafetensorsColumns(path, {{"x", DType::kUint8, {-1}}})), "'x.lengths'",
                "integers");
  ExpectRefused(Drain(OpenSafetensorsColumns(path, {{"x", DType::kUint8, {}}})), "",
                "no column for tensor 'x.lengths'");
  const std::string alone =
      PutSafetensors(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd");
  ExpectRefused(Drain(OpenSafetensorsColumns(alone, {{"x", DType::kUint8, {-1}}})), "'x'",
                "x.lengths");
}

TEST_F(RowSourceTest, WhatIsWrongWithSafetensorsColumnsIsSaid) {
  const TensorSpec x = {"x", DType::kUint8, {}};
  const auto one = [&](const std::string& dtype, const std::string& shape, size_t bytes) {
    return PutSafetensors(absl::StrCat(R"({"x":{"dtype":")", dtype, R"(","shape":)", shape,
                                       R"(,"data_offsets":[0,)", bytes, "]}}"),
                          std::string(bytes, '\x01'));
  };
  ExpectRefused(Drain(OpenSafetensorsColumns(one("F64", "[1]", 8), {x})), "'x'", "F64");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("U8", "[]", 1), {x})), "'x'", "scalar");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("F32", "[1]", 4), {x})), "'x'", "float32");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("I32", "[1]", 4), {x})), "'x'", "does not fit");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("U8", "[1,3]", 3), {x})), "'x'", "shape [3]");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("U8", "[1]", 1), {{"y", DType::kUint8, {}}})), "",
                "no column for tensor 'x'");
  ExpectRefused(Drain(OpenSafetensorsColumns(one("U8", "[1]", 1), {x, {"y", DType::kUint8, {}}})),
                "", "'y'");
  const std::string uneven = PutSafetensors(
      R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
      "abc");
  ExpectRefused(Drain(OpenSafetensorsColumns(uneven, {})), "'y'", "1 rows");
}

}  // namespace
}  // namespace bif::storage
