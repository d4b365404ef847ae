#include "absl/strings/str_cat.h"
#include "src/engine/engine.h"

namespace bif::engine {

std::string ExecutionPlan::ToString() const {
  std::string text =
      absl::StrCat(batched_chains ? "chains in one batched call" : "chains one by one", ", ",
                   trace_batch_rows, " rows a trace call");
  if (step_batch_rows > 0) {
    absl::StrAppend(&text, " in parts of ", trace_batch_tokens, " tokens, ", step_batch_rows,
                    " rows a step's call");
  }
  if (plain_attention) absl::StrAppend(&text, ", attention as batched products");
  if (compute == ComputeType::kBf16) absl::StrAppend(&text, ", bf16");
  return text;
}

}  // namespace bif::engine
