#include "absl/strings/str_cat.h"
#include "src/engine/engine.h"

namespace bif::engine {

std::string ExecutionPlan::ToString() const {
  return absl::StrCat(batched_chains ? "chains in one batched call" : "chains one by one", ", ",
                      trace_batch_rows, " rows a trace call");
}

}  // namespace bif::engine
