#include "client/cli/sample_files.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>

#include "client/cli/names.h"
#include "client/cli/npy.h"
#include "client/cli/replay_batches.h"
#include "client/cli/report_files.h"
#include "client/cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using testing::HasSubstr;

class SampleFilesTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = testing::TempDir() + "/sample_files_test_" + name;
    std::ofstream(path, std::ios::binary) << content;
    files_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& file : files_) std::remove(file.c_str());
  }

  std::vector<v1::TensorSpec> Columns() {
    return {*ParseColumn("image:uint8:2,2"), *ParseColumn("label:int64")};
  }
  SampleFileOptions Options() { return {.columns = Columns(), .id_prefix = "row-", .first_id = 5}; }

  std::vector<std::string> files_;
};

// A file of a header and data, as the format has it.
std::string Safetensors(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file + header + data;
}

constexpr char kTwoRows[] = R"({"image":{"dtype":"U8","shape":[2,2,2],"data_offsets":[0,8]},)"
                            R"("label":{"dtype":"I64","shape":[2],"data_offsets":[8,24]}})";

TEST_F(SampleFilesTest, JsonBecomesTensorsOfTheColumnsDtypes) {
  const auto sample =
      ParseJsonSample(R"({"id": 7, "image": [[0, 1], [2, 255]], "label": -3})", Columns());
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->id(), "7");
  EXPECT_EQ(sample->tensors(0).data(), std::string("\x00\x01\x02\xff", 4));
  int64_t label = 0;
  ASSERT_EQ(sample->tensors(1).data().size(), sizeof(label));
  std::memcpy(&label, sample->tensors(1).data().data(), sizeof(label));
  EXPECT_EQ(label, -3);
}

TEST_F(SampleFilesTest, JsonThatDoesNotFitIsRefusedWithItsColumn) {
  for (const char* line : {"[]", "{", R"({"label": 1})", R"({"image": [[0, 1]], "label": 1})",
                           R"({"image": [[0, 1], [2, 256]], "label": 1})",
                           R"({"image": [[0, 1], [2, -1]], "label": 1})",
                           R"({"image": [[0, 1], [2, 0.5]], "label": 1})",
                           R"({"image": [[0, 1], [2, "x"]], "label": 1})",
                           R"({"image": [[0, 1], [2, 3]], "label": [1]})",
                           R"({"image": [[0, 1], [2, 3]], "label": 99999999999999999999})"}) {
    EXPECT_EQ(ParseJsonSample(line, Columns()).status().code(), absl::StatusCode::kInvalidArgument)
        << line;
  }
}

TEST_F(SampleFilesTest, JsonLinesAreNumberedAndCanBeReadAgain) {
  const std::string path = Write("lines.jsonl",
                                 "{\"image\": [[1,1],[1,1]], \"label\": 0}\n\n"
                                 "{\"id\": \"mine\", \"image\": [[1,1],[1,1]], \"label\": 1}\n");
  auto samples = OpenSampleFile(path, Options());
  ASSERT_TRUE(samples.ok());
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE((*samples)->Rewind().ok());
    EXPECT_EQ((**(*samples)->Next()).id(), "row-5");
    EXPECT_EQ((**(*samples)->Next()).id(), "mine");
    EXPECT_FALSE((*samples)->Next()->has_value());
  }
}

TEST_F(SampleFilesTest, AWrongJsonLineIsNamed) {
  const std::string path =
      Write("bad.jsonl", "{\"image\": [[1,1],[1,1]], \"label\": 0}\n{\"label\": 0}\n");
  auto samples = OpenSampleFile(path, Options());
  ASSERT_TRUE(samples.ok());
  ASSERT_TRUE((*samples)->Next().ok());
  EXPECT_THAT(std::string((*samples)->Next().status().message()), HasSubstr("line 2"));
}

TEST_F(SampleFilesTest, SafetensorsRowsBecomeSamples) {
  std::string data = "abcdefgh";
  for (const int64_t label : {3, 9}) {
    data.append(reinterpret_cast<const char*>(&label), sizeof(label));
  }
  auto samples = OpenSampleFile(Write("rows.safetensors", Safetensors(kTwoRows, data)), Options());
  ASSERT_TRUE(samples.ok()) << samples.status();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE((*samples)->Rewind().ok());
    const v1::Sample first = **(*samples)->Next();
    EXPECT_EQ(first.id(), "row-5");
    EXPECT_EQ(first.tensors(0).data(), "abcd");
    const v1::Sample second = **(*samples)->Next();
    EXPECT_EQ(second.tensors(0).data(), "efgh");
    EXPECT_EQ(second.tensors(1).data()[0], 9);
    EXPECT_FALSE((*samples)->Next()->has_value());
  }
}

TEST_F(SampleFilesTest, DamagedSafetensorsAreRefused) {
  const std::string data(24, 'x');
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string header = kTwoRows;
    header.replace(header.find(from), from.size(), to);
    return Safetensors(header, data);
  };
  const std::string files[] = {
      "",
      "short",
      std::string(8, '\xff') + "{}",
      Safetensors("not json", data),
      Safetensors("{}", data),
      Safetensors(kTwoRows, data.substr(1)),
      with("\"U8\"", "\"F32\""),
      with("[2,2,2]", "[2,2,3]"),
      with("[2,2,2]", "[-2,2,2]"),
      with("[2,2,2]", "[9223372036854775807,2,2]"),
      with("[0,8]", "[8,0]"),
      with("[0,8]", "[0,9223372036854775807]"),
      with("\"shape\":[2],\"data_offsets\":[8,24]", "\"shape\":[1],\"data_offsets\":[8,16]"),
  };
  for (const std::string& file : files) {
    EXPECT_EQ(OpenSampleFile(Write("bad.safetensors", file), Options()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << file;
  }
}

std::vector<v1::TensorSpec> SequenceColumns() {
  return {*ParseColumn("tokens:int32:?"), *ParseColumn("mask:uint8:?")};
}

TEST_F(SampleFilesTest, JsonListsMayHaveAnyLengthWhereTheColumnSaysSo) {
  const auto sample =
      ParseJsonSample(R"({"tokens": [7, 8, 300], "mask": [0, 1, 1]})", SequenceColumns());
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->tensors(0).spec().shape(0), 3);
  EXPECT_EQ(sample->tensors(0).data(), std::string("\7\0\0\0\10\0\0\0\x2c\1\0\0", 12));
  EXPECT_EQ(sample->tensors(1).data(), std::string("\0\1\1", 3));
  for (const char* line : {R"({"tokens": [], "mask": []})", R"({"tokens": 7, "mask": [1]})",
                           R"({"tokens": [[7]], "mask": [1]})"}) {
    EXPECT_EQ(ParseJsonSample(line, SequenceColumns()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << line;
  }
}

constexpr char kSequences[] =
    R"({"tokens":{"dtype":"I32","shape":[3],"data_offsets":[0,12]},)"
    R"("tokens.lengths":{"dtype":"I64","shape":[2],"data_offsets":[12,28]},)"
    R"("mask":{"dtype":"U8","shape":[2,2],"data_offsets":[28,32]}})";
std::string SequenceData(int64_t first_length, int64_t second_length) {
  std::string data = "aaaabbbbcccc";
  for (const int64_t length : {first_length, second_length})
    data.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return data + "wxyz";
}

TEST_F(SampleFilesTest, SafetensorsRowsMayHaveLengthsOfTheirOwn) {
  SampleFileOptions options = Options();
  options.columns = SequenceColumns();
  auto samples = OpenSampleFile(
      Write("sequences.safetensors", Safetensors(kSequences, SequenceData(1, 2))), options);
  ASSERT_TRUE(samples.ok()) << samples.status();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE((*samples)->Rewind().ok());
    const v1::Sample first = **(*samples)->Next();
    EXPECT_EQ(first.tensors(0).data(), "aaaa");
    EXPECT_EQ(first.tensors(0).spec().shape(0), 1);
    EXPECT_EQ(first.tensors(1).data(), "wx") << "without lengths all rows are as long";
    const v1::Sample second = **(*samples)->Next();
    EXPECT_EQ(second.tensors(0).data(), "bbbbcccc");
    EXPECT_EQ(second.tensors(0).spec().shape(0), 2);
    EXPECT_FALSE((*samples)->Next()->has_value());
  }
}

TEST_F(SampleFilesTest, RowLengthsThatDoNotFitAreRefused) {
  SampleFileOptions options = Options();
  options.columns = SequenceColumns();
  for (const auto& [first, second] : {std::pair<int64_t, int64_t>{0, 3},
                                      {3, 0},
                                      {1, 1},
                                      {4, -1},
                                      {1, std::numeric_limits<int64_t>::max()}}) {
    const auto opened = OpenSampleFile(
        Write("bad.safetensors", Safetensors(kSequences, SequenceData(first, second))), options);
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument) << first;
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr("tokens.lengths"));
  }
}

TEST_F(SampleFilesTest, NpyHoldsItsRowCountThoughItCameInBlocks) {
  const std::string path = Write("out.npy", "");
  const float values[] = {1, 2, 3, 4, 5, 6};
  NpyWriter npy(path);
  ASSERT_TRUE(npy.Append(values, 4, {2, 1}).ok());
  ASSERT_TRUE(npy.Append(values + 4, 2, {2, 1}).ok());
  EXPECT_FALSE(npy.Append(values, 3, {3, 1}).ok());
  ASSERT_TRUE(npy.Close().ok());
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  const std::string bytes = content.str();
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_THAT(bytes, HasSubstr("'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 1,)"));
  ASSERT_EQ(bytes.size(), 128 + sizeof(values));
  EXPECT_EQ(std::memcmp(bytes.data() + 128, values, sizeof(values)), 0);
}

TEST_F(SampleFilesTest, AnNpyThatWasNotClosedIsRemoved) {
  const std::string path = Write("half.npy", "");
  {
    const float value = 1;
    NpyWriter npy(path);
    ASSERT_TRUE(npy.Append(&value, 1, {1}).ok());
  }
  EXPECT_FALSE(std::ifstream(path).good());
}

// An .npy file as numpy.save writes it: version 1.0.
std::string Npy(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + data;
}

TEST_F(SampleFilesTest, ReplayBatchesComeFromJsonOrNpy) {
  const auto read = [&](const std::string& path) {
    v1::SamplerSettings settings;
    const absl::Status status = AddReplayBatches(path, settings);
    std::string text = status.ok() ? "" : std::string(status.message());
    for (const auto& batch : settings.replay_batches()) {
      for (const uint32_t index : batch.indices()) text += std::to_string(index) + " ";
      text += "/ ";
    }
    return text;
  };
  EXPECT_EQ(read(Write("b.json", "[[3, 1, 2], [0]]")), "3 1 2 / 0 / ");
  std::string int32_data;
  for (const int32_t index : {3, 1, 0, 70000}) {
    int32_data.append(reinterpret_cast<const char*>(&index), sizeof(index));
  }
  std::string int64_data;
  for (const int64_t index : {4, -5}) {
    int64_data.append(reinterpret_cast<const char*>(&index), sizeof(index));
  }
  const std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }\n";
  EXPECT_EQ(read(Write("b.npy", Npy(header, int32_data))), "3 1 / 0 70000 / ");

  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = header;
    changed.replace(changed.find(from), from.size(), to);
    return Write("bad.npy", Npy(changed, int32_data));
  };
  EXPECT_THAT(read(with("(2, 2)", "(2, 3)")), HasSubstr("more or less than its shape"));
  EXPECT_THAT(read(with("(2, 2)", "(4,)")), HasSubstr("two dimensions"));
  EXPECT_THAT(read(with("False", "True")), HasSubstr("Fortran"));
  EXPECT_THAT(read(with("<i4", "<f4")), HasSubstr("integers"));
  EXPECT_THAT(read(with("shape", "shop")), HasSubstr("two dimensions"));
  EXPECT_THAT(
      read(Write("bad.npy",
                 Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", int64_data))),
      HasSubstr("batch 0 holds something else"));
  EXPECT_THAT(read(Write("bad.npy", "\x93NUMPY")), HasSubstr("no .npy file"));
  EXPECT_THAT(read(Write("bad.npy", std::string("\x93NUMPY\x01\x00\xff\xff{}", 12))),
              HasSubstr("cut off"));
  for (const char* json : {"{}", "[1]", "[[-1]]", "[[0.5]]", "[[4294967296]]", "[]", "[[1]"}) {
    EXPECT_THAT(read(Write("bad.json", json)), HasSubstr("bad.json")) << json;
  }
}

TEST_F(SampleFilesTest, ReportFilesAreRead) {
  EXPECT_EQ(*ReadClassNames("shirt,coat"), (std::vector<std::string>{"shirt", "coat"}));
  EXPECT_EQ(*ReadClassNames(Write("names", "shirt\r\n\ncoat\n")),
            (std::vector<std::string>{"shirt", "coat"}));
  EXPECT_EQ(
      ReadNotes(Write("notes", R"({"17": "label flipped: was 3", "test/4": 7})"))->at("test/4"),
      "7");
  const auto summary = ReadSummary(Write("summary", R"([{"label": "AUROC", "value": 0.94}])"));
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->at(0), (std::pair<std::string, std::string>("AUROC", "0.94")));
  EXPECT_TRUE(ReadNotes("")->empty());
  EXPECT_TRUE(IsUsageError(ReadNotes(Write("list", "[]")).status()));
  EXPECT_TRUE(IsUsageError(ReadSummary(Write("wrong", R"([{"label": "x"}])")).status()));
  EXPECT_TRUE(IsUsageError(ReadSummary(Write("broken", "[{")).status()));
}

}  // namespace
}  // namespace bif::client
