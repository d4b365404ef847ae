#include "src/engine/sequences.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

absl::StatusOr<const Column*> FindColumn(const SampleBatch& batch, const std::string& name) {
  const Column* column = batch.Find(name);
  if (column != nullptr) return column;
  return Bad(absl::StrCat("the samples have no column '", name, "', which the program needs"));
}

// A column of one dimension. Fixed lengths are fine.
absl::Status CheckRank(const Column& column) {
  if (column.spec.shape.size() == 1) return absl::OkStatus();
  return Bad(absl::StrCat("column ", column.spec.ToString(),
                          " is not one sequence a sample, such as tokens int32[-1]"));
}

template <typename T>
T Load(absl::Span<const std::byte> row, int64_t position) {
  T value;
  std::memcpy(&value, row.data() + position * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

int64_t Integer(DType dtype, absl::Span<const std::byte> row, int64_t position) {
  switch (dtype) {
    case DType::kInt32:
      return Load<int32_t>(row, position);
    case DType::kInt64:
      return Load<int64_t>(row, position);
    default:
      return Load<uint8_t>(row, position);
  }
}

bool IsZero(DType dtype, absl::Span<const std::byte> row, int64_t position) {
  if (dtype == DType::kFloat32) return Load<float>(row, position) == 0;
  return Integer(dtype, row, position) == 0;
}

int64_t ElementsOf(const Column& column, absl::Span<const std::byte> row) {
  return static_cast<int64_t>(row.size() / SizeOf(column.spec.dtype));
}

}  // namespace

absl::StatusOr<SequenceReader> SequenceReader::Open(const SampleBatch& batch,
                                                    const std::string& token_column,
                                                    const SequenceSpec& spec,
                                                    const ProgramInfo& program) {
  SequenceReader reader;
  reader.spec_ = spec;
  reader.vocabulary_ = program.classes;
  reader.longest_ = program.longest_sequence;
  BIF_ASSIGN_OR_RETURN(reader.tokens_, FindColumn(batch, token_column));
  BIF_RETURN_IF_ERROR(CheckRank(*reader.tokens_));
  const DType dtype = reader.tokens_->spec.dtype;
  if (dtype != DType::kUint8 && dtype != DType::kInt32 && dtype != DType::kInt64) {
    return Bad(absl::StrCat("token column ", reader.tokens_->spec.ToString(),
                            " must hold uint8, int32 or int64"));
  }
  if (spec.mask_column.empty()) return reader;
  BIF_ASSIGN_OR_RETURN(reader.mask_, FindColumn(batch, spec.mask_column));
  BIF_RETURN_IF_ERROR(CheckRank(*reader.mask_));
  return reader;
}

absl::Status SequenceReader::Read(int64_t row, Sequences& to) const {
  const absl::Span<const std::byte> tokens = tokens_->Row(row);
  const int64_t whole = ElementsOf(*tokens_, tokens);
  const int64_t length = spec_.max_tokens > 0 ? std::min(whole, spec_.max_tokens) : whole;
  if (length < 2)
    return Bad(absl::StrCat("it has ", length, " token; a next-token loss needs two"));
  if (longest_ > 0 && length > longest_) {
    return Bad(absl::StrCat("it has ", length, " tokens, the program takes ", longest_,
                            "; set max_tokens to cut longer sequences"));
  }
  for (int64_t p = 0; p < length; ++p) {
    const int64_t token = Integer(tokens_->spec.dtype, tokens, p);
    if (token >= 0 && token < vocabulary_) continue;
    return Bad(absl::StrCat("token ", token, " at position ", p,
                            " is out of the program's vocabulary, 0 to ", vocabulary_ - 1));
  }
  if (mask_ != nullptr) {
    const absl::Span<const std::byte> mask = mask_->Row(row);
    if (ElementsOf(*mask_, mask) != whole) {
      return Bad(absl::StrCat("its mask '", mask_->spec.name, "' has ", ElementsOf(*mask_, mask),
                              " entries for ", whole, " tokens"));
    }
    bool any = false;
    for (int64_t p = 1; p < length; ++p) any |= !IsZero(mask_->spec.dtype, mask, p);
    if (!any) {
      return Bad(absl::StrCat("its mask '", mask_->spec.name,
                              "' hides every token that has a loss: those at positions 1 to ",
                              length - 1));
    }
    for (int64_t p = 0; p < length; ++p)
      to.counts_.push_back(IsZero(mask_->spec.dtype, mask, p) ? 0 : 1);
  }
  for (int64_t p = 0; p < length; ++p)
    to.tokens_.push_back(static_cast<int32_t>(Integer(tokens_->spec.dtype, tokens, p)));
  to.ends_.push_back(static_cast<int64_t>(to.tokens_.size()));
  return absl::OkStatus();
}

}  // namespace bif::engine
