// Cross-entropy of rows of logits with few classes: losses in nats, and their gradients.
//
//   loss     = ln sum_c exp(x_c - m) + m - x_label,   m = max_c x_c
//   gradient = exp(x_c - m) / sum - [c = label]
//
// LibTorch takes its vector instructions along the classes, where ten of them fill no vector; here
// sixteen rows go side by side. Rows are on their own: any cut gives the same bits. A NaN in a row
// makes its loss NaN. Thread-safe for rows that do not overlap.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace bif::engine {

inline constexpr int64_t kMostClasses = 256;

// logits: [rows, classes] with rows = labels.size() and at most kMostClasses; labels are below
// `classes`. losses: [rows]. gradients: [rows, classes], multiplied by `scale`; empty if they are
// not wanted.
void CrossEntropy(const float* logits, int64_t classes, absl::Span<const int64_t> labels,
                  float scale, absl::Span<float> losses, absl::Span<float> gradients);

}  // namespace bif::engine
