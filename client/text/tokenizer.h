// A model's own tokenizer: text to token ids and back.
//
// The work is done by the Python package `tokenizers`, in a process of $BIF_PYTHON (else python3)
// that is started for every call: give many texts at once. Thread-compatible.
//
// Failure: FAILED_PRECONDITION says what to install; INVALID_ARGUMENT says what is wrong with the
// file or the texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace bif::client {

// What token ids stand for, special tokens included.
struct DecodedText {
  std::string text;
  // One a token; joined they are the text. A character that several tokens make up, byte by byte,
  // is in the last one's piece, and the others' pieces are empty. An id that the tokenizer does not
  // know is "<50300>".
  std::vector<std::string> pieces;
};

class Tokenizer {
 public:
  // `path`: the tokenizer.json of a Hugging Face model folder.
  explicit Tokenizer(std::string path) : path_(std::move(path)) {}

  // The ids of each text. `special_tokens`: with those that the tokenizer puts around a text, such
  // as a beginning-of-sequence token. Neither cut nor padded, whatever the file says.
  absl::StatusOr<std::vector<std::vector<int64_t>>> Encode(const std::vector<std::string>& texts,
                                                           bool special_tokens = true) const;
  absl::StatusOr<std::vector<DecodedText>> Decode(
      const std::vector<std::vector<int64_t>>& token_ids) const;

 private:
  std::string path_;
};

}  // namespace bif::client
