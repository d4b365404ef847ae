// A dataset's rows on the device, bound to a program's inputs.
//
// Columns stay as they were stored (uint8 images are a quarter of their fp32 size) and are
// converted batch by batch.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/engine/torch/program.h"
#include "src/engine/torch/token_rows.h"

namespace bif::engine {

// What one call of the program needs.
struct DeviceBatch {
  std::vector<at::Tensor> inputs;  // in the program's order, [rows, ...]
  at::Tensor target;               // undefined with PROGRAM_LOSSES and NEXT_TOKEN
};

class TorchRows final : public ResidentRows {
 public:
  // Copies what the program needs of `batch`; other columns are left out. INVALID_ARGUMENT names
  // the column, and the row for a label out of range or a number that is not finite.
  static absl::StatusOr<std::unique_ptr<TorchRows>> Upload(const ProgramSource& source,
                                                           const Program& program,
                                                           const SampleBatch& batch,
                                                           c10::Device device);

  int64_t rows() const override { return rows_; }
  int64_t token_losses(int64_t row) const override {
    return tokens_ == nullptr ? 0 : tokens_->sequences().length(row) - 1;
  }

  // With NEXT_TOKEN; else null.
  const TokenRows* tokens() const { return tokens_.get(); }

  // Rows [first, first + count), and rows by position. Sequences are padded to the longest of them.
  // May throw c10::Error.
  DeviceBatch Slice(int64_t first, int64_t count) const;
  DeviceBatch Gather(absl::Span<const uint32_t> positions) const;

 private:
  struct Input {
    at::Tensor column;  // [rows, ...] in the stored dtype; undefined for sequences, see `tokens_`
    at::ScalarType dtype = at::kFloat;  // that the program wants
    std::vector<float> scale, shift;    // one a channel; empty: none
    // The last converted batch: its memory is used again once nobody holds it.
    mutable at::Tensor scratch = {};
  };

  // The column's selected rows in the program's dtype; `positions` is empty for a slice.
  at::Tensor Convert(const Input& input, int64_t first, int64_t count,
                     absl::Span<const uint32_t> positions) const;

  int64_t rows_ = 0;
  std::vector<Input> inputs_;
  at::Tensor target_;
  std::unique_ptr<TokenRows> tokens_;
};

}  // namespace bif::engine
