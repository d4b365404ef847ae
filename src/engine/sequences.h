// Token sequences as a next-token loss wants them: cut to max_tokens, checked, and with what a mask
// hides.
//
// Plain values: thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"

namespace bif::engine {

// How many tokens a next-token program can be given in one row.
struct SequenceLimits {
  int64_t least = 1;
  int64_t most = -1;  // -1: no limit
};

// Rows of tokens, one after the other. The token at position 0 of a row has no loss.
class Sequences {
 public:
  int64_t rows() const { return static_cast<int64_t>(ends_.size()); }
  int64_t length(int64_t row) const { return End(row) - End(row - 1); }
  int64_t begin(int64_t row) const { return End(row - 1); }  // tokens in the rows before
  absl::Span<const int32_t> Row(int64_t row) const {
    return absl::MakeConstSpan(tokens_).subspan(static_cast<size_t>(begin(row)),
                                                static_cast<size_t>(length(row)));
  }
  // Whether the loss of the token at `position`, at least 1, counts.
  bool Counts(int64_t row, int64_t position) const {
    return counts_.empty() || counts_[static_cast<size_t>(begin(row) + position)] != 0;
  }
  bool masked() const { return !counts_.empty(); }

 private:
  friend class SequenceReader;
  int64_t End(int64_t row) const { return row < 0 ? 0 : ends_[static_cast<size_t>(row)]; }

  std::vector<int32_t> tokens_;
  std::vector<int64_t> ends_;    // one a row
  std::vector<uint8_t> counts_;  // as many as tokens; empty without a mask
};

// Reads the sequences of a batch, which must outlive the reader.
class SequenceReader {
 public:
  // INVALID_ARGUMENT if the batch lacks the token or mask column, or if tokens are no integers.
  static absl::StatusOr<SequenceReader> Open(const SampleBatch& batch,
                                             const std::string& token_column,
                                             const SequenceSpec& spec, const ProgramInfo& program);

  // Appends one row. INVALID_ARGUMENT, which does not say the row, for a token out of the
  // vocabulary, fewer than two tokens, more than the program takes, a mask of another length or one
  // that hides every token that has a loss; then `to` is as before.
  absl::Status Read(int64_t row, Sequences& to) const;

 private:
  SequenceReader() = default;

  const Column* tokens_ = nullptr;
  const Column* mask_ = nullptr;  // null without one
  SequenceSpec spec_;
  int64_t vocabulary_ = 0;
  int64_t longest_ = 0;  // 0: no limit
};

}  // namespace bif::engine
