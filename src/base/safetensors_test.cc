#include "src/base/safetensors.h"

#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif {
namespace {

using ::testing::HasSubstr;

std::string File(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

void ExpectRefused(const std::string& bytes, const std::string& part) {
  const auto file = SafetensorsFile::Parse(bytes);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << bytes;
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(part));
}

TEST(Safetensors, GivesNamesShapesAndBytes) {
  const std::string bytes = File(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},)"
      R"("a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}, "e":{"dtype":"I64","shape":[0,3],"data_offsets":[2,2]}}   )",
      "xyABCDEFGH");
  const auto file = SafetensorsFile::Parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[1].name, "e");
  EXPECT_EQ(file->metadata().at("format"), "pt");
  const SafetensorsTensor* b = file->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->bytes, "ABCDEFGH");
  EXPECT_EQ(b->elements, 2);
  EXPECT_EQ(ToDType(b->dtype), DType::kFloat32);
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(Safetensors, MissingFileIsNotFound) {
  EXPECT_EQ(SafetensorsFile::Open("/nonexistent.safetensors").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Safetensors, RefusesAHeaderThatIsCutHugeOrNoObject) {
  ExpectRefused("", "shorter than the 8 bytes");
  ExpectRefused(File("{}", "").substr(0, 9), "cut off");
  ExpectRefused(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "at most 100000000");
  ExpectRefused(File("[]", ""), "not a JSON object");
  ExpectRefused(File("{\"a\":", ""), "not a JSON object");
}

TEST(Safetensors, RefusesNamesThatAreTwiceThere) {
  ExpectRefused(
      File(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "x"),
      "'a' stands in the header twice");
}

TEST(Safetensors, RefusesBytesOutOfBoundsOverlappingOrUnclaimed) {
  ExpectRefused(File(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})", "xyz"),
                "'a' lies at bytes 0 to 5 of 3");
  ExpectRefused(File(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[2,1]}})", "xyz"),
                "'a' lies at");
  ExpectRefused(
      File(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
          "xyz"),
      "'b' overlaps another");
  ExpectRefused(File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"),
                "'a' leaves a hole");
  ExpectRefused(File(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "xy"),
                "belong to no tensor");
}

TEST(Safetensors, RefusesShapesAndDTypesThatDoNotAddUp) {
  ExpectRefused(File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,3]}})", "xyz"),
                "does not fit its shape");
  ExpectRefused(File(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,3]}})", "xyz"),
                "unknown dtype 'F33'");
  ExpectRefused(File(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,3]}})", "xyz"),
                "no shape of whole numbers");
  ExpectRefused(
      File(R"({"a":{"dtype":"U8","shape":[9223372036854775807,9],"data_offsets":[0,3]}})", "xyz"),
      "too large");
  ExpectRefused(
      File(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", ""),
      "does not fit");
  ExpectRefused(File(R"({"a":7})", ""), "not described");
}

TEST(Safetensors, NoCutAndNoFlippedByteCrashes) {
  const std::string good =
      File(R"({"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}})", "wxyz");
  ASSERT_TRUE(SafetensorsFile::Parse(good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(SafetensorsFile::Parse(std::string_view(good).substr(0, size)).ok()) << size;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      const auto file = SafetensorsFile::Parse(bytes);
      if (file.ok()) {
        EXPECT_EQ(file->tensors().size(), 1u);
      }
    }
  }
}

}  // namespace
}  // namespace bif
