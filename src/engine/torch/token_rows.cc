#include "src/engine/torch/token_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/tensor_bytes.h"

namespace bif::engine {
namespace {

std::string RowLabel(int64_t row) { return absl::StrCat("row ", row); }

int64_t Counted(const Sequences& sequences, int64_t row) {
  int64_t count = 0;
  for (int64_t p = 1; p < sequences.length(row); ++p) count += sequences.Counts(row, p) ? 1 : 0;
  return count;
}

// value * scale + shift, in the dtype that the program wants.
at::Tensor Scaled(const at::Tensor& values, const InputBinding& binding, at::ScalarType dtype) {
  if (binding.scale.empty() && binding.shift.empty()) return values.to(dtype);
  const double scale = binding.scale.empty() ? 1.0 : double{binding.scale[0]};
  const double shift = binding.shift.empty() ? 0.0 : double{binding.shift[0]};
  return values.to(at::kFloat).mul(scale).add(shift).to(dtype);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenRows>> TokenRows::Upload(const ProgramSource& source,
                                                             const Program& program,
                                                             const SampleBatch& batch,
                                                             c10::Device device) {
  auto rows = std::make_unique<TokenRows>();
  rows->limits_ = program.sequence_limits();
  rows->device_ = device;
  BIF_ASSIGN_OR_RETURN(
      const SequenceReader reader,
      SequenceReader::Open(batch, source.target_column, source.sequence, program.info()));
  for (int64_t row = 0; row < batch.rows; ++row) {
    if (const absl::Status status = reader.Read(row, rows->sequences_); !status.ok())
      return Annotate(status, RowLabel(row));
  }
  for (size_t i = 0; i < source.inputs.size(); ++i) {
    const ProgramInput& wanted = program.inputs()[i];
    Input& input = rows->inputs_.emplace_back();
    if (!wanted.is_sequence) continue;
    if (source.inputs[i].column == source.target_column) {
      input = {.is_tokens = true, .dtype = wanted.dtype};
    } else {
      BIF_ASSIGN_OR_RETURN(input, rows->ReadInput(source.inputs[i], wanted, batch,
                                                  *batch.Find(source.target_column)));
    }
  }
  const Sequences& sequences = rows->sequences_;
  const int64_t counted = Counted(sequences, 0);
  for (int64_t row = 1; row < sequences.rows() && rows->uniform_; ++row) {
    rows->uniform_ =
        sequences.length(row) == sequences.length(0) && Counted(sequences, row) == counted;
  }
  return rows;
}

absl::StatusOr<TokenRows::Input> TokenRows::ReadInput(const InputBinding& binding,
                                                      const ProgramInput& wanted,
                                                      const SampleBatch& batch,
                                                      const Column& tokens) const {
  const Column* column = batch.Find(binding.column);
  if (column == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the samples have no column '", binding.column, "', which the program needs"));
  }
  const auto dtype = ToScalarType(column->spec.dtype);
  if (!dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", column->spec.ToString(), " has no known dtype"));
  }
  std::vector<int64_t> shape = wanted.shape;
  shape[0] = sequences_.begin(sequences_.rows());
  const at::Tensor values = at::empty(shape, *dtype);
  auto* to = static_cast<std::byte*>(values.mutable_data_ptr());
  for (int64_t row = 0; row < sequences_.rows(); ++row) {
    shape = column->RowShape(row);
    const bool fits = shape.size() == wanted.shape.size() &&
                      std::equal(shape.begin() + 1, shape.end(), wanted.shape.begin() + 1);
    const int64_t whole = tokens.RowShape(row)[0];
    if (!fits || shape[0] != whole) {
      return absl::InvalidArgumentError(absl::StrCat(RowLabel(row), ": column '", binding.column,
                                                     "' has the shape [", absl::StrJoin(shape, ","),
                                                     "] for ", whole, " tokens"));
    }
    const absl::Span<const std::byte> bytes = column->Row(row);
    const size_t wanted_bytes =
        bytes.size() / static_cast<size_t>(whole) * static_cast<size_t>(sequences_.length(row));
    std::memcpy(to, bytes.data(), wanted_bytes);
    to += wanted_bytes;
  }
  if (values.is_floating_point() && !values.isfinite().all().item<bool>()) {
    return absl::InvalidArgumentError(
        absl::StrCat("column '", binding.column, "' holds a number that is not finite"));
  }
  return Input{false, wanted.dtype, Scaled(values, binding, wanted.dtype)};
}

int64_t TokenRows::PaddedLength(absl::Span<const uint32_t> positions) const {
  if (limits_.least == limits_.most) return limits_.most;
  int64_t longest = limits_.least;
  for (const uint32_t row : positions) longest = std::max(longest, sequences_.length(row) - 1);
  return longest;
}

at::Tensor TokenRows::Padded(size_t input, absl::Span<const uint32_t> positions) const {
  const Input& from = inputs_[input];
  const auto rows = static_cast<int64_t>(positions.size());
  const int64_t length = PaddedLength(positions);
  if (!from.is_tokens) {
    std::vector<int64_t> shape = from.values.sizes().vec();
    shape[0] = length;
    shape.insert(shape.begin(), rows);
    const at::Tensor padded = at::zeros(shape, from.values.options());
    for (int64_t r = 0; r < rows; ++r) {
      const uint32_t row = positions[static_cast<size_t>(r)];
      const int64_t fed = std::min(length, sequences_.length(row));
      padded[r].narrow(0, 0, fed).copy_(from.values.narrow(0, sequences_.begin(row), fed));
    }
    return padded.to(device_);
  }
  const at::Tensor padded = at::zeros({rows, length}, at::kLong);
  auto* to = padded.mutable_data_ptr<int64_t>();
  for (const uint32_t row : positions) {
    const absl::Span<const int32_t> tokens = sequences_.Row(row);
    const auto fed = std::min(static_cast<size_t>(length), tokens.size());
    std::copy_n(tokens.begin(), fed, to);
    to += length;
  }
  return padded.to(device_, from.dtype);
}

TokenTargets TokenRows::Targets(absl::Span<const uint32_t> positions,
                                const TokenSelection& selection) const {
  const int64_t length = PaddedLength(positions);
  std::vector<int64_t> places, tokens;
  TokenTargets targets;
  for (size_t r = 0; r < positions.size(); ++r) {
    const uint32_t row = positions[r];
    const absl::Span<const int32_t> ids = sequences_.Row(row);
    const int64_t end = selection.end == 0 ? sequences_.length(row) : selection.end;
    for (int64_t p = selection.begin; p < end; ++p) {
      if (!selection.masked_too && !sequences_.Counts(row, p)) continue;
      places.push_back(static_cast<int64_t>(r) * length + p - 1);
      tokens.push_back(ids[static_cast<size_t>(p)]);
    }
    targets.ends.push_back(static_cast<int64_t>(places.size()));
  }
  targets.places = at::tensor(places, at::kLong).to(device_);
  targets.tokens = at::tensor(tokens, at::kLong).to(device_);
  return targets;
}

}  // namespace bif::engine
