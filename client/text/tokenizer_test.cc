#include "client/text/tokenizer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The letters of "hi there 😀" as byte-level BPE writes them: a blank is Ġ, and the bytes f0 9f 98
// 80 of the face are ð, Ł, ĺ and Ģ (the mapping of GPT-2's encoder.py).
constexpr char kByteLevel[] = R"({"version":"1.0",
 "truncation":{"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0},
 "padding":null,
 "added_tokens":[{"id":9,"content":"<|end|>","single_word":false,"lstrip":false,"rstrip":false,
                  "normalized":false,"special":true}],
 "normalizer":null,
 "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
 "post_processor":{"type":"TemplateProcessing",
   "single":[{"SpecialToken":{"id":"<|end|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
   "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],
   "special_tokens":{"<|end|>":{"id":"<|end|>","ids":[9],"tokens":["<|end|>"]}}},
 "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
 "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
   "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,
   "vocab":{"h":0,"i":1,"Ġ":2,"ð":3,"Ł":4,"ĺ":5,"Ģ":6,"hi":7,"Ġhi":8},
   "merges":[["h","i"],["Ġ","hi"]]}})";

// As SentencePiece has it: ▁ begins a word, and bytes of characters that have no piece are <0xNN>.
constexpr char kPieces[] = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
 "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
   {"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
 "pre_tokenizer":null,"post_processor":null,
 "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
   {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
 "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,
   "end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
   "vocab":{"<unk>":0,"▁":1,"h":2,"i":3,"hi":4,"▁hi":5,"<0xC3>":6,"<0xA9>":7},
   "merges":[["h","i"],["▁","hi"]]}})";

class TokenizerTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = testing::TempDir() + "/tokenizer_test_" + name;
    std::ofstream(path, std::ios::binary) << content;
    files_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& file : files_) std::remove(file.c_str());
    if (python_) ::setenv("BIF_PYTHON", python_->c_str(), 1);
  }
  void UsePython(const std::string& path) {
    if (!python_) python_ = std::getenv("BIF_PYTHON");
    ::setenv("BIF_PYTHON", path.c_str(), 1);
  }

  std::vector<std::string> files_;
  std::optional<std::string> python_;
};

TEST_F(TokenizerTest, TextsBecomeIdsNeitherCutNorPadded) {
  const Tokenizer tokenizer(Write("bytes.json", kByteLevel));
  const auto plain = tokenizer.Encode({"hi hi", "i", "hi 😀"}, /*special_tokens=*/false);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_THAT(*plain,
              ElementsAre(ElementsAre(7, 8), ElementsAre(1), ElementsAre(7, 2, 3, 4, 5, 6)));
  EXPECT_THAT(*tokenizer.Encode({"hi hi", ""}), ElementsAre(ElementsAre(9, 7, 8), ElementsAre(9)));
  EXPECT_THAT(*tokenizer.Encode({}), testing::IsEmpty());
}

TEST_F(TokenizerTest, PiecesOfBytesAreReadableAndJoinToTheText) {
  const Tokenizer tokenizer(Write("bytes.json", kByteLevel));
  const auto decoded = tokenizer.Decode({{9, 7, 8, 2, 3, 4, 5, 6, 1}, {7, 50300}, {1, 3, 4}, {}});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->at(0).text, "<|end|>hi hi 😀i");
  EXPECT_THAT(decoded->at(0).pieces,
              ElementsAre("<|end|>", "hi", " hi", " ", "", "", "", "😀", "i"));
  EXPECT_THAT(decoded->at(1).pieces, ElementsAre("hi", "<50300>"));
  EXPECT_THAT(decoded->at(2).pieces, ElementsAre("i", "", "\xEF\xBF\xBD"))
      << "U+FFFD where the text ends within a character";
  EXPECT_TRUE(decoded->at(3).pieces.empty());
}

TEST_F(TokenizerTest, PiecesOfWordsAreReadableToo) {
  const Tokenizer tokenizer(Write("pieces.json", kPieces));
  const auto ids = tokenizer.Encode({"hi hi é"});
  ASSERT_TRUE(ids.ok()) << ids.status();
  ASSERT_THAT(*ids, ElementsAre(ElementsAre(5, 5, 1, 6, 7)));
  const auto decoded = tokenizer.Decode(*ids);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->at(0).text, "hi hi é");
  EXPECT_THAT(decoded->at(0).pieces, ElementsAre("hi", " hi", " ", "", "é"));
}

TEST_F(TokenizerTest, SaysWhatIsWrong) {
  const auto not_a_tokenizer = Tokenizer(Write("bad.json", "{}")).Encode({"hi"});
  EXPECT_EQ(not_a_tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(not_a_tokenizer.status().message()), HasSubstr("bad.json"));
  const auto bytes = Tokenizer(Write("bytes.json", kByteLevel)).Encode({"hi", "\xff"});
  EXPECT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bytes.status().message()), HasSubstr("text 2 is not UTF-8"));
}

TEST_F(TokenizerTest, SaysWhatToInstall) {
  const Tokenizer tokenizer(Write("bytes.json", kByteLevel));
  UsePython("/nowhere/python");
  const absl::Status no_python = tokenizer.Encode({"hi"}).status();
  EXPECT_EQ(no_python.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(no_python.message()), HasSubstr("install Python 3"));
  // Without site-packages there is no tokenizers.
  const std::string bare = Write("python", "#!/bin/sh\nexec python3 -I -S \"$@\"\n");
  std::filesystem::permissions(bare, std::filesystem::perms::owner_all);
  UsePython(bare);
  const absl::Status no_package = tokenizer.Decode({{1}}).status();
  EXPECT_EQ(no_package.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(no_package.message()), HasSubstr("-m pip install tokenizers"));
}

}  // namespace
}  // namespace bif::client
