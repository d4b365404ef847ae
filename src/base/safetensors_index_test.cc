#include "src/base/safetensors_index.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/safetensors_bytes.h"

namespace bif {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTwoShards[] =
    R"({"metadata": {"total_size": 12}, "weight_map": {"b": "2.safetensors", "a": "1.safetensors", "c": "2.safetensors"}})";

void ExpectRefused(const std::string& json, const std::string& part) {
  const auto index = ParseSafetensorsIndex(json);
  EXPECT_EQ(index.status().code(), absl::StatusCode::kInvalidArgument) << json;
  EXPECT_THAT(std::string(index.status().message()), HasSubstr(part));
}

// The shards by name, holding floats of these names.
class Shards {
 public:
  Shards& Add(const std::string& shard, const std::vector<std::string>& tensors) {
    std::map<std::string, std::vector<float>> values;
    for (const std::string& tensor : tensors) values[tensor] = {1};
    bytes_[shard] = testing::SafetensorsBytes(values);
    return *this;
  }
  std::string Complaint() const {
    std::map<std::string, SafetensorsFile> files;
    for (const auto& [name, bytes] : bytes_)
      files.emplace(name, SafetensorsFile::Parse(bytes).value());
    return std::string(CheckShards(*ParseSafetensorsIndex(kTwoShards), files).message());
  }

 private:
  std::map<std::string, std::string> bytes_;
};

TEST(SafetensorsIndex, TellsWhereEachTensorLies) {
  const auto index = ParseSafetensorsIndex(kTwoShards);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_THAT(index->shards, ElementsAre("1.safetensors", "2.safetensors"));
  EXPECT_EQ(index->shard_of.at("c"), "2.safetensors");
  EXPECT_TRUE(IsSafetensorsIndex("model.safetensors.index.json"));
  EXPECT_FALSE(IsSafetensorsIndex("model.safetensors"));
}

TEST(SafetensorsIndex, RefusesWhatIsNoIndex) {
  ExpectRefused("", "not a JSON object");
  ExpectRefused("[]", "not a JSON object");
  ExpectRefused("{}", "weight_map");
  ExpectRefused(R"({"weight_map": {}})", "weight_map");
  ExpectRefused(R"({"weight_map": {"a": 1}})", "the file of tensor 'a'");
  ExpectRefused(R"({"weight_map": {"a": "1.safetensors", "a": "2.safetensors"}})",
                "'a' stands in it twice");
}

TEST(SafetensorsIndex, NamesNothingOutsideItsFolder) {
  for (const char* shard : {"../1.safetensors", "/etc/passwd", "sub/1.safetensors", "..", ""}) {
    ExpectRefused(std::string(R"({"weight_map": {"a": ")") + shard + R"("}})",
                  "not a file beside the index");
  }
}

TEST(SafetensorsIndex, ShardsMustHoldWhatItSaysAndNothingElse) {
  EXPECT_EQ(Shards().Add("1.safetensors", {"a"}).Add("2.safetensors", {"b", "c"}).Complaint(), "");
  EXPECT_THAT(Shards().Add("1.safetensors", {"a"}).Complaint(),
              HasSubstr("the shard '2.safetensors', which is missing"));
  EXPECT_THAT(Shards().Add("1.safetensors", {"a"}).Add("2.safetensors", {"b"}).Complaint(),
              HasSubstr("places tensor 'c' in '2.safetensors', which does not hold it"));
  EXPECT_THAT(
      Shards().Add("1.safetensors", {"a", "b"}).Add("2.safetensors", {"b", "c"}).Complaint(),
      HasSubstr("tensor 'b' lies in two shards, '2.safetensors' and '1.safetensors'"));
  EXPECT_THAT(
      Shards().Add("1.safetensors", {"a", "d"}).Add("2.safetensors", {"b", "c"}).Complaint(),
      HasSubstr("'1.safetensors' holds tensor 'd', which the index does not name"));
  EXPECT_THAT(Shards()
                  .Add("1.safetensors", {"a"})
                  .Add("2.safetensors", {"b", "c"})
                  .Add("3.safetensors", {})
                  .Complaint(),
              HasSubstr("does not name the file '3.safetensors'"));
}

}  // namespace
}  // namespace bif
