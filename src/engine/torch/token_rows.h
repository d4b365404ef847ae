// Token sequences, and padded batches of them.
//
// Ids stay on the host as int32, one row after the other. A batch is made when it is needed, and
// only that is copied to the device. Rows are padded on the right: models are causal, so what
// stands behind a token changes nothing for it. A row's last token is not fed where the program
// takes any length, since it predicts nothing.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"
#include "src/engine/sequences.h"
#include "src/engine/torch/program.h"

namespace bif::engine {

// Which tokens of a sequence are wanted: those in [begin, end) whose loss counts.
struct TokenSelection {
  int64_t begin = 1;
  int64_t end = 0;          // 0: the end of the sequence
  bool masked_too = false;  // also those that the mask hides
};

// The selected tokens of a padded batch, row after row.
struct TokenTargets {
  at::Tensor places;          // [n] int64: where the logits that predict the token stand in the
                              // batch, row * padded length + position - 1
  at::Tensor tokens;          // [n] int64
  std::vector<int64_t> ends;  // one a row: where its tokens end among the n
};

class TokenRows {
 public:
  // What the program needs of `batch`. INVALID_ARGUMENT says the row and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<TokenRows>> Upload(const ProgramSource& source,
                                                           const Program& program,
                                                           const SampleBatch& batch,
                                                           c10::Device device);

  const Sequences& sequences() const { return sequences_; }

  // How many tokens the program sees of each row, if these rows are one batch.
  int64_t PaddedLength(absl::Span<const uint32_t> positions) const;

  // [rows, padded length, ...] for the program's input `input`, which must be a sequence.
  at::Tensor Padded(size_t input, absl::Span<const uint32_t> positions) const;

  TokenTargets Targets(absl::Span<const uint32_t> positions, const TokenSelection& selection) const;

  // Whether all rows have as many tokens, and as many that count.
  bool uniform() const { return uniform_; }

 private:
  struct Input {
    bool is_tokens = false;
    at::ScalarType dtype = at::kLong;
    at::Tensor values;  // [all tokens of all rows, ...], unless is_tokens
  };

  absl::StatusOr<Input> ReadInput(const InputBinding& binding, const ProgramInput& wanted,
                                  const SampleBatch& batch, const Column& tokens) const;

  Sequences sequences_;
  SequenceLimits limits_;
  c10::Device device_ = c10::Device(c10::kCPU);
  std::vector<Input> inputs_;  // in the program's order; those that are no sequences are empty
  bool uniform_ = true;
};

}  // namespace bif::engine
