// Turns stored bytes (pixels) into a program's numbers: out = byte * scale + shift, per channel.
// Thread-safe.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace bif::engine {

// One sample. Its bytes are scale.size() channels of equal length; scale and shift have one number
// a channel.
void ScaleBytes(absl::Span<const uint8_t> sample, absl::Span<const float> scale,
                absl::Span<const float> shift, float* out);

}  // namespace bif::engine
