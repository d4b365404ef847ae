#include "src/engine/program_file/sequence_binding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/symbols.h"

namespace bif::engine {
namespace {

absl::StatusOr<SequenceLimits> LimitsOf(const ProgramFile& file, const Dimension& tokens) {
  const std::optional<SymbolRange> range = RangeOf(file, tokens);
  if (!range) {
    return absl::InvalidArgumentError(
        absl::StrCat("the program's sequences cannot have any length: it is ", tokens.expression,
                     "; export with dynamic_shapes={<input>: {0: torch.export.Dim('batch'), 1: "
                     "torch.export.Dim('length')}}"));
  }
  if (range->max >= 0 && range->max < 2) {
    return absl::InvalidArgumentError(absl::StrCat("the program takes sequences of ", range->max,
                                                   " tokens; a next-token loss needs two"));
  }
  return SequenceLimits{std::max<int64_t>(1, range->min), range->max};
}

absl::Status CheckSpec(const SequenceSpec& spec, const SequenceLimits& limits) {
  if (spec.reduction != TokenReduction::kMean && spec.reduction != TokenReduction::kSum)
    return FieldError("sequence.reduction", "must be MEAN_TOKENS or SUM_TOKENS");
  if (spec.max_tokens < 0 || spec.max_tokens == 1) {
    return FieldError(
        "sequence.max_tokens",
        absl::StrCat("must be 0 (sequences are never cut) or at least 2, is ", spec.max_tokens));
  }
  if (limits.most < 0 || spec.max_tokens <= limits.most) return absl::OkStatus();
  return FieldError("sequence.max_tokens",
                    absl::StrCat("must be at most ", limits.most,
                                 ": the program takes no longer sequences; is ", spec.max_tokens));
}

// Some input must have the logits' length, and tokens are whole numbers.
absl::Status CheckInputs(const ProgramSource& source, const std::vector<BoundInput>& inputs) {
  bool any = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    any |= inputs[i].is_sequence;
    if (source.inputs[i].column != source.target_column) continue;
    if (!inputs[i].is_sequence || inputs[i].shape.size() != 1) {
      return FieldError(absl::StrCat("inputs[", i, "].column"),
                        absl::StrCat("'", source.target_column, "' holds tokens, but the input '",
                                     inputs[i].name, "' is not [batch, tokens]"));
    }
    if (inputs[i].dtype == GraphDType::kFloat || inputs[i].dtype == GraphDType::kBool) {
      return FieldError(absl::StrCat("inputs[", i, "].column"),
                        absl::StrCat("'", source.target_column, "' holds tokens, but the input '",
                                     inputs[i].name, "' does not take whole numbers"));
    }
  }
  if (any) return absl::OkStatus();
  return FieldError("inputs", "no input of the program is as long as its logits");
}

}  // namespace

std::optional<Dimension> TokenDimension(const ProgramSource& source, const TensorMeta& output) {
  if (source.loss != LossKind::kNextToken || output.sizes.size() != 3) return std::nullopt;
  return output.sizes[1];
}

absl::StatusOr<std::vector<TensorSpec>> BindSequences(const ProgramFile& file,
                                                      const ProgramSource& source,
                                                      const Dimension& tokens,
                                                      ProgramLayout& layout) {
  if (source.target_column.empty())
    return FieldError("target_column", "must name the column of tokens");
  BIF_ASSIGN_OR_RETURN(layout.sequence_limits, LimitsOf(file, tokens));
  BIF_RETURN_IF_ERROR(CheckSpec(source.sequence, layout.sequence_limits));
  BIF_RETURN_IF_ERROR(CheckInputs(source, layout.inputs));
  layout.info.sequences = true;
  layout.info.longest_sequence = source.sequence.max_tokens > 0
                                     ? source.sequence.max_tokens
                                     : std::max<int64_t>(0, layout.sequence_limits.most);
  std::vector<TensorSpec> columns = {{source.target_column, DType::kUnspecified, {-1}}};
  if (!source.sequence.mask_column.empty())
    columns.push_back({source.sequence.mask_column, DType::kUnspecified, {-1}});
  return columns;
}

}  // namespace bif::engine
