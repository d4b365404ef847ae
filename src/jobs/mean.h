// The mean of fp32 numbers, summed in double. Pure function.
#pragma once

#include "absl/types/span.h"

namespace bif::jobs {

inline double Mean(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace bif::jobs
