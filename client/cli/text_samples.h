// Samples from a text file: one text a line, or one a paragraph, as token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/text/tokenizer.h"

namespace bif::client {

struct TextFileOptions {
  v1::TensorSpec column;    // integers of any length
  bool paragraphs = false;  // texts end at blank lines, not at every line
  bool special_tokens = true;
  int64_t min_tokens = 2;  // shorter texts are left out: a next-token loss needs two tokens
  int64_t max_tokens = 0;  // longer texts are cut; 0: never
  std::string id_prefix;   // text n of the file, from 0, gets the id id_prefix + (first_id + n)
  int64_t first_id = 0;
};

class TextSamples : public SampleSource {
 public:
  // How many texts so far were shorter than min_tokens, and how many were cut.
  virtual int64_t left_out() const = 0;
  virtual int64_t cut() const = 0;
};

// Blank lines are no texts. What the tokenizer needs and lacks is FAILED_PRECONDITION.
absl::StatusOr<std::unique_ptr<TextSamples>> OpenTextSamples(const std::string& path,
                                                             const Tokenizer& tokenizer,
                                                             TextFileOptions options);

// Token ids as a tensor of the column, whose first dimension becomes their number. INVALID_ARGUMENT
// if the column cannot hold them.
absl::StatusOr<v1::Tensor> TokenTensor(const std::vector<int64_t>& ids,
                                       const v1::TensorSpec& column);
// And back. INVALID_ARGUMENT if the sample has no such column of integers.
absl::StatusOr<std::vector<int64_t>> TokensOf(const v1::Sample& sample, const std::string& column);

}  // namespace bif::client
