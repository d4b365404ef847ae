#include "src/engine/program_file/bindings.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"
#include "src/engine/program_file/sequence_binding.h"
#include "src/engine/program_file/symbols.h"

namespace bif::engine {
namespace {

// Batches of any size must fit.
absl::Status CheckBatchDimension(const ProgramFile& file, const std::string& input,
                                 const Dimension& batch) {
  const std::string how =
      absl::StrCat("; export with torch.export.export(model, args, dynamic_shapes={'", input,
                   "': {0: torch.export.Dim('batch')}, ...})");
  if (batch.expression.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the batch dimension of input '", input, "' is fixed at ", batch.size, how));
  }
  const std::optional<SymbolRange> range = RangeOf(file, batch);
  if (!range) {
    return absl::InvalidArgumentError(absl::StrCat("the batch dimension of input '", input,
                                                   "' cannot take any size: it is ",
                                                   batch.expression, how));
  }
  // Older exporters write 2 for "any size"; nothing in the graph depends on it.
  if (range->min > 2 || range->max >= 0) {
    return absl::InvalidArgumentError(absl::StrCat("the batch dimension of input '", input,
                                                   "' is limited to ", range->min, "..", range->max,
                                                   how));
  }
  return absl::OkStatus();
}

std::vector<int64_t> WithoutBatch(const TensorMeta& meta) {
  std::vector<int64_t> shape;
  for (size_t i = 1; i < meta.sizes.size(); ++i) shape.push_back(meta.sizes[i].size);
  return shape;
}

// The column's dtype: a float input takes whatever can be converted.
absl::StatusOr<DType> ColumnDType(const std::string& input, GraphDType dtype) {
  switch (dtype) {
    case GraphDType::kFloat:
      return DType::kUnspecified;
    case GraphDType::kByte:
      return DType::kUint8;
    case GraphDType::kInt:
      return DType::kInt32;
    case GraphDType::kLong:
      return DType::kInt64;
    case GraphDType::kBool:
      return DType::kBool;
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "the input '", input,
          "' has a dtype that no column has; export with float32, int64, int32, uint8 or bool"));
  }
}

absl::StatusOr<BoundInput> DescribeInput(const ProgramFile& file, const InputSpec& spec,
                                         const std::optional<Dimension>& tokens) {
  const auto meta = file.graph.tensors.find(spec.value);
  if (meta == file.graph.tensors.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the input '", spec.name, "' has no dtype and shape in the graph"));
  }
  if (meta->second.sizes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the input '", spec.name, "' is a single number; inputs need a batch dimension"));
  }
  BIF_RETURN_IF_ERROR(CheckBatchDimension(file, spec.name, meta->second.sizes[0]));
  BoundInput input{.name = spec.name,
                   .value = spec.value,
                   .dtype = meta->second.dtype,
                   .shape = WithoutBatch(meta->second)};
  input.is_sequence = tokens && !input.shape.empty() && SameSize(meta->second.sizes[1], *tokens);
  return input;
}

absl::Status CheckAffine(const std::string& path, const std::vector<float>& numbers,
                         const BoundInput& input) {
  if (numbers.empty()) return absl::OkStatus();
  if (input.dtype != GraphDType::kFloat) {
    return FieldError(
        path, absl::StrCat("must be empty: the input '", input.name, "' does not take floats"));
  }
  for (const float number : numbers) {
    if (!std::isfinite(number)) return FieldError(path, "holds a number that is not finite");
  }
  const int64_t channels = input.shape.empty() || input.is_sequence ? 1 : input.shape[0];
  if (numbers.size() == 1 || static_cast<int64_t>(numbers.size()) == channels)
    return absl::OkStatus();
  return FieldError(path, absl::StrCat("has ", numbers.size(), " entries; the input '", input.name,
                                       "' has ", channels, " channels, and one entry serves all"));
}

// Adds a column, or narrows the one of that name, when an input and the target share it.
absl::Status AddColumn(const std::string& path, TensorSpec wanted,
                       std::vector<TensorSpec>& columns) {
  for (TensorSpec& column : columns) {
    if (column.name != wanted.name) continue;
    bool fits = column.shape.size() == wanted.shape.size();
    for (size_t i = 0; fits && i < column.shape.size(); ++i) {
      if (column.shape[i] == -1) column.shape[i] = wanted.shape[i];
      fits = wanted.shape[i] == -1 || wanted.shape[i] == column.shape[i];
    }
    if (column.dtype == DType::kUnspecified) column.dtype = wanted.dtype;
    if (wanted.dtype != DType::kUnspecified && wanted.dtype != column.dtype) fits = false;
    if (fits) return absl::OkStatus();
    return FieldError(path, absl::StrCat("the column '", wanted.name,
                                         "' is used in two ways that no dtype and shape fit"));
  }
  columns.push_back(std::move(wanted));
  return absl::OkStatus();
}

// The column that an input wants. Sequences come in any length, whatever the program takes, and
// tokens in any integer type.
absl::StatusOr<TensorSpec> ColumnOf(const ProgramSource& source, const InputBinding& binding,
                                    const BoundInput& input) {
  TensorSpec column{.name = binding.column, .shape = input.shape};
  BIF_ASSIGN_OR_RETURN(column.dtype, ColumnDType(input.name, input.dtype));
  if (!input.is_sequence) return column;
  column.shape[0] = -1;
  if (binding.column == source.target_column && input.dtype != GraphDType::kFloat)
    column.dtype = DType::kUnspecified;
  return column;
}

absl::Status BindInputs(const ProgramFile& file, const ProgramSource& source,
                        const std::optional<Dimension>& tokens, ProgramLayout& layout) {
  std::vector<const InputSpec*> unbound;
  std::vector<std::string> names;
  for (const InputSpec& spec : file.signature.inputs) {
    if (spec.kind != InputKind::kUserInput) continue;
    unbound.push_back(&spec);
    names.push_back(spec.name);
  }
  for (size_t i = 0; i < source.inputs.size(); ++i) {
    const InputBinding& binding = source.inputs[i];
    const std::string path = absl::StrCat("inputs[", i, "]");
    const InputSpec* spec = nullptr;
    for (const InputSpec*& candidate : unbound) {
      if (candidate == nullptr || candidate->name != binding.input) continue;
      spec = std::exchange(candidate, nullptr);
    }
    if (spec == nullptr) {
      for (const std::string& name : names) {
        if (name == binding.input)
          return FieldError(absl::StrCat(path, ".input"),
                            absl::StrCat("'", name, "' is bound twice"));
      }
      return FieldError(absl::StrCat(path, ".input"),
                        absl::StrCat("the program has no input '", binding.input,
                                     "'; it has: ", absl::StrJoin(names, ", ")));
    }
    if (binding.column.empty())
      return FieldError(absl::StrCat(path, ".column"), "must name a column");
    BIF_ASSIGN_OR_RETURN(BoundInput input, DescribeInput(file, *spec, tokens));
    BIF_RETURN_IF_ERROR(CheckAffine(absl::StrCat(path, ".scale"), binding.scale, input));
    BIF_RETURN_IF_ERROR(CheckAffine(absl::StrCat(path, ".shift"), binding.shift, input));
    BIF_ASSIGN_OR_RETURN(TensorSpec column, ColumnOf(source, binding, input));
    BIF_RETURN_IF_ERROR(
        AddColumn(absl::StrCat(path, ".column"), std::move(column), layout.info.columns));
    layout.inputs.push_back(std::move(input));
  }
  for (const InputSpec* left : unbound) {
    if (left == nullptr) continue;
    return FieldError("inputs",
                      absl::StrCat("the program's input '", left->name, "' is bound to no column"));
  }
  if (names.empty()) return absl::InvalidArgumentError("the program has no inputs");
  return absl::OkStatus();
}

absl::Status WrongOutput(const TensorMeta& output, absl::string_view wanted) {
  std::vector<std::string> sizes;
  for (const Dimension& size : output.sizes)
    sizes.push_back(size.size < 0 ? "?" : absl::StrCat(size.size));
  return FieldError("loss",
                    absl::StrCat("needs ", wanted, " as the program's first output, which is [",
                                 absl::StrJoin(sizes, ", "), "]"));
}

absl::StatusOr<const TensorMeta*> FirstOutput(const ProgramFile& file) {
  const auto found = file.graph.tensors.find(file.signature.first_output);
  if (found == file.graph.tensors.end()) {
    return absl::InvalidArgumentError(absl::StrCat("the output '", file.signature.first_output,
                                                   "' has no dtype and shape in the graph"));
  }
  return &found->second;
}

absl::Status BindOutput(const ProgramFile& file, const ProgramSource& source,
                        const TensorMeta& output, ProgramLayout& layout) {
  if (output.dtype != GraphDType::kFloat) {
    return absl::InvalidArgumentError(
        "the program's first output is not float32; return logits or losses first, as float32");
  }
  if (output.sizes.empty() || output.sizes[0].expression.empty()) {
    return absl::InvalidArgumentError(
        "the program's first output does not begin with the batch dimension; return one row a "
        "sample, not a mean");
  }
  if (source.loss != LossKind::kNextToken && source.sequence != SequenceSpec{})
    return FieldError("sequence", "is for the loss NEXT_TOKEN alone");
  std::vector<TensorSpec> targets = {{.name = source.target_column}};
  switch (source.loss) {
    case LossKind::kProgramLosses:
      if (output.sizes.size() != 1) return WrongOutput(output, "losses [batch]");
      return absl::OkStatus();
    case LossKind::kCrossEntropy:
      if (output.sizes.size() != 2 || output.sizes[1].size < 2) {
        return WrongOutput(output, "logits [batch, classes] of at least 2 classes");
      }
      layout.info.classes = output.sizes[1].size;
      break;
    case LossKind::kSquaredError:
      targets[0].shape = WithoutBatch(output);
      break;
    case LossKind::kNextToken: {
      const std::optional<Dimension> tokens = TokenDimension(source, output);
      if (!tokens || output.sizes[2].size < 2) {
        return WrongOutput(output, "logits [batch, tokens, vocabulary] of at least 2 tokens");
      }
      layout.info.classes = output.sizes[2].size;
      BIF_ASSIGN_OR_RETURN(targets, BindSequences(file, source, *tokens, layout));
      break;
    }
    default:
      return FieldError("loss", "is not one that this server knows");
  }
  if (targets[0].name.empty())
    return FieldError("target_column", "must name the column of labels or targets");
  for (size_t i = 0; i < targets.size(); ++i) {
    BIF_RETURN_IF_ERROR(AddColumn(i == 0 ? "target_column" : "sequence.mask_column",
                                  std::move(targets[i]), layout.info.columns));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BindColumns(const ProgramFile& file, const ProgramSource& source,
                         ProgramLayout& layout) {
  BIF_ASSIGN_OR_RETURN(const TensorMeta* output, FirstOutput(file));
  BIF_RETURN_IF_ERROR(BindInputs(file, source, TokenDimension(source, *output), layout));
  return BindOutput(file, source, *output, layout);
}

}  // namespace bif::engine
