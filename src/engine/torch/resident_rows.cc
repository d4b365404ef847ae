#include "src/engine/torch/resident_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"
#include "src/engine/scale_bytes.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/parallel.h"
#include "src/engine/torch/tensor_bytes.h"

namespace bif::engine {
namespace {

// The column as a host tensor of its own, or an error that names it.
absl::StatusOr<at::Tensor> HostColumn(const SampleBatch& batch, const std::string& name) {
  const Column* column = batch.Find(name);
  if (column == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the samples have no column '", name, "', which the program needs"));
  }
  if (column->spec.dtype == DType::kUnspecified) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", column->spec.ToString(), " has no known dtype"));
  }
  std::vector<int64_t> shape = column->RowShape(0);
  for (int64_t row = 1; column->spec.variable() && row < batch.rows; ++row) {
    if (column->RowShape(row) == shape) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "row ", row, " of column '", name, "' is ", column->RowShape(row)[0], " long, row 0 ",
        shape[0], "; only the loss NEXT_TOKEN takes sequences of different lengths"));
  }
  size_t want = static_cast<size_t>(batch.rows) * SizeOf(column->spec.dtype);
  for (const int64_t dimension : shape) want *= static_cast<size_t>(dimension);
  if (column->data.size() != want) {
    return absl::InvalidArgumentError(absl::StrCat("column ", column->spec.ToString(),
                                                   " must hold ", want, " bytes for ", batch.rows,
                                                   " samples, holds ", column->data.size()));
  }
  shape.insert(shape.begin(), batch.rows);
  at::Tensor tensor = at::empty(shape, *ToScalarType(column->spec.dtype));
  if (want > 0) std::memcpy(tensor.mutable_data_ptr(), column->data.data(), want);
  return tensor;
}

// The first row for which `bad`, [rows, ...] of bool, is true; -1 if there is none.
int64_t FirstRow(const at::Tensor& bad) {
  const at::Tensor any = bad.dim() > 1 ? bad.flatten(1).any(1) : bad;
  if (any.numel() == 0 || !any.any().item<bool>()) return -1;
  return any.to(at::kByte).argmax().item<int64_t>();
}

absl::Status CheckFinite(const at::Tensor& column, const std::string& name) {
  if (!column.is_floating_point()) return absl::OkStatus();
  const int64_t row = FirstRow(column.isfinite().logical_not());
  if (row < 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("column '", name, "' of row ", row, " holds a number that is not finite"));
}

absl::Status CheckShape(const at::Tensor& column, absl::Span<const int64_t> want,
                        const std::string& name) {
  bool fits = static_cast<size_t>(column.dim()) == want.size() + 1;
  for (size_t d = 0; fits && d < want.size(); ++d)
    fits = want[d] == -1 || want[d] == column.size(static_cast<int64_t>(d) + 1);
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "column '", name, "' has samples of shape [", absl::StrJoin(column.sizes().slice(1), ","),
      "], the program wants [", absl::StrJoin(want, ","), "]"));
}

// One number a channel: as given, one for all channels, or `fallback`.
absl::StatusOr<std::vector<float>> PerChannel(std::vector<float> values, float fallback,
                                              int64_t channels, const std::string& path) {
  if (values.empty()) return std::vector<float>(static_cast<size_t>(channels), fallback);
  if (values.size() == 1) return std::vector<float>(static_cast<size_t>(channels), values[0]);
  if (static_cast<int64_t>(values.size()) == channels) return values;
  return FieldError(path,
                    absl::StrCat("has ", values.size(), " numbers for ", channels, " channels"));
}

// A tensor of this shape, in the memory of the one before if that is free: fresh pages cost more
// than the conversion.
at::Tensor Reused(at::Tensor& scratch, const std::vector<int64_t>& shape) {
  const int64_t elements = c10::multiply_integers(shape);
  if (!scratch.defined() || scratch.numel() < elements || scratch.storage().use_count() > 1) {
    scratch = at::empty({elements}, at::kFloat);
  }
  return scratch.narrow(0, 0, elements).view(shape);
}

// Rows of a batch lie anywhere in memory: the next one is asked for while this one is converted.
void Prefetch(const uint8_t* row, int64_t bytes) {
  constexpr int64_t kLine = 64, kMost = 4096;  // what a processor can wait for at a time
  for (int64_t i = 0; i < std::min(bytes, kMost); i += kLine) __builtin_prefetch(row + i);
}

at::Tensor SelectRows(const at::Tensor& column, absl::Span<const uint32_t> positions) {
  const at::Tensor index = at::empty({static_cast<int64_t>(positions.size())}, at::kLong);
  std::copy(positions.begin(), positions.end(), index.mutable_data_ptr<int64_t>());
  return column.index_select(0, index.to(column.device()));
}

absl::StatusOr<at::Tensor> Labels(at::Tensor column, int64_t classes, const std::string& name) {
  if (column.is_floating_point()) {
    return absl::InvalidArgumentError(
        absl::StrCat("label column '", name, "' holds fractions; labels are whole numbers"));
  }
  if (column.dim() == 2 && column.size(1) == 1) column = column.squeeze(1);
  const at::Tensor labels = column.to(at::kLong);
  const int64_t row = FirstRow(labels.lt(0).logical_or(labels.ge(classes)));
  if (row < 0) return labels;
  const at::Tensor values = labels[row].flatten();
  const at::Tensor bad = values.lt(0).logical_or(values.ge(classes));
  return absl::InvalidArgumentError(
      absl::StrCat("label ", values.masked_select(bad)[0].item<int64_t>(), " of row ", row,
                   " is out of range: the program has ", classes, " classes"));
}

absl::StatusOr<at::Tensor> Target(const ProgramSource& source, const ProgramInfo& info,
                                  const SampleBatch& batch) {
  if (source.loss == LossKind::kProgramLosses || source.loss == LossKind::kNextToken)
    return at::Tensor();
  BIF_ASSIGN_OR_RETURN(at::Tensor column, HostColumn(batch, source.target_column));
  if (source.loss == LossKind::kCrossEntropy)
    return Labels(column, info.classes, source.target_column);
  BIF_RETURN_IF_ERROR(CheckFinite(column, source.target_column));
  return column.to(at::kFloat);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchRows>> TorchRows::Upload(const ProgramSource& source,
                                                             const Program& program,
                                                             const SampleBatch& batch,
                                                             c10::Device device) {
  return CatchTorch(
      "copying samples to the device", [&]() -> absl::StatusOr<std::unique_ptr<TorchRows>> {
        const at::NoGradGuard no_grad;
        if (batch.rows < 1) return absl::InvalidArgumentError("there are no samples");
        auto rows = std::make_unique<TorchRows>();
        rows->rows_ = batch.rows;
        if (source.loss == LossKind::kNextToken) {
          BIF_ASSIGN_OR_RETURN(rows->tokens_, TokenRows::Upload(source, program, batch, device));
        }
        for (size_t i = 0; i < source.inputs.size(); ++i) {
          const InputBinding& binding = source.inputs[i];
          const ProgramInput& wanted = program.inputs()[i];
          const std::string path = absl::StrCat("inputs[", i, "].");
          Input input;
          input.dtype = wanted.dtype;
          if (wanted.is_sequence) {
            rows->inputs_.push_back(std::move(input));
            continue;
          }
          BIF_ASSIGN_OR_RETURN(input.column, HostColumn(batch, binding.column));
          BIF_RETURN_IF_ERROR(CheckShape(input.column, wanted.shape, binding.column));
          BIF_RETURN_IF_ERROR(CheckFinite(input.column, binding.column));
          const bool scaled = !binding.scale.empty() || !binding.shift.empty();
          if (scaled || (input.column.scalar_type() == at::kByte && input.dtype == at::kFloat)) {
            const int64_t channels = binding.scale.size() > 1 || binding.shift.size() > 1
                                         ? (input.column.dim() > 1 ? input.column.size(1) : 1)
                                         : 1;
            BIF_ASSIGN_OR_RETURN(input.scale,
                                 PerChannel(binding.scale, 1.0f, channels, path + "scale"));
            BIF_ASSIGN_OR_RETURN(input.shift,
                                 PerChannel(binding.shift, 0.0f, channels, path + "shift"));
          }
          input.column = input.column.to(device);
          rows->inputs_.push_back(std::move(input));
        }
        BIF_ASSIGN_OR_RETURN(rows->target_, Target(source, program.info(), batch));
        if (rows->target_.defined()) rows->target_ = rows->target_.to(device);
        return rows;
      });
}

DeviceBatch TorchRows::Slice(int64_t first, int64_t count) const {
  if (tokens_ != nullptr) {
    std::vector<uint32_t> positions(static_cast<size_t>(count));
    std::iota(positions.begin(), positions.end(), static_cast<uint32_t>(first));
    return Gather(positions);
  }
  DeviceBatch batch;
  for (const Input& input : inputs_) batch.inputs.push_back(Convert(input, first, count, {}));
  if (target_.defined()) batch.target = target_.narrow(0, first, count);
  return batch;
}

DeviceBatch TorchRows::Gather(absl::Span<const uint32_t> positions) const {
  DeviceBatch batch;
  const auto count = static_cast<int64_t>(positions.size());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    batch.inputs.push_back(inputs_[i].column.defined() ? Convert(inputs_[i], 0, count, positions)
                                                       : tokens_->Padded(i, positions));
  }
  if (target_.defined()) batch.target = SelectRows(target_, positions);
  return batch;
}

at::Tensor TorchRows::Convert(const Input& input, int64_t first, int64_t count,
                              absl::Span<const uint32_t> positions) const {
  const at::Tensor& column = input.column;
  const bool scaled = !input.scale.empty();
  if (scaled && column.is_cpu() && column.scalar_type() == at::kByte) {
    // Selects, converts and scales in one pass: this runs once for every batch of every draw.
    std::vector<int64_t> shape = column.sizes().vec();
    const int64_t elements = column.numel() / shape[0];
    shape[0] = count;
    const at::Tensor out = Reused(input.scratch, shape);
    const uint8_t* from = column.const_data_ptr<uint8_t>();
    float* to = out.mutable_data_ptr<float>();
    ParallelFor(0, count, 1 + 32768 / (elements + 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto row_at = [&](int64_t at) {
          return positions.empty() ? first + at : int64_t{positions[static_cast<size_t>(at)]};
        };
        const int64_t row = row_at(i);
        if (i + 1 < end) Prefetch(from + row_at(i + 1) * elements, elements);
        ScaleBytes(absl::MakeConstSpan(from + row * elements, static_cast<size_t>(elements)),
                   input.scale, input.shift, to + i * elements);
      }
    });
    return out.to(input.dtype);
  }
  const at::Tensor selected =
      positions.empty() ? column.narrow(0, first, count) : SelectRows(column, positions);
  if (!scaled) return selected.to(input.dtype);
  std::vector<int64_t> shape(static_cast<size_t>(column.dim()), 1);
  if (input.scale.size() > 1) shape[1] = static_cast<int64_t>(input.scale.size());
  const auto constant = [&](const std::vector<float>& values) {
    return at::tensor(values, at::kFloat).to(column.device()).view(shape);
  };
  return selected.to(at::kFloat)
      .mul(constant(input.scale))
      .add(constant(input.shift))
      .to(input.dtype);
}

}  // namespace bif::engine
