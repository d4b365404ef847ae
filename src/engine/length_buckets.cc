#include "src/engine/length_buckets.h"

#include <algorithm>

namespace bif::engine {

std::vector<std::vector<uint32_t>> CutByLength(absl::Span<const uint32_t> rows,
                                               absl::FunctionRef<int64_t(uint32_t)> length,
                                               int64_t most_rows, int64_t most_tokens) {
  std::vector<uint32_t> sorted(rows.begin(), rows.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](uint32_t a, uint32_t b) { return length(a) > length(b); });
  std::vector<std::vector<uint32_t>> calls;
  int64_t longest = 0;
  for (const uint32_t row : sorted) {
    const int64_t size = calls.empty() ? 0 : static_cast<int64_t>(calls.back().size());
    const bool full = (most_rows > 0 && size >= most_rows) ||
                      (most_tokens > 0 && (size + 1) * longest > most_tokens);
    if (size == 0 || full) {
      calls.emplace_back();
      longest = length(row);
    }
    calls.back().push_back(row);
  }
  return calls;
}

}  // namespace bif::engine
