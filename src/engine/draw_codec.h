// How a draw's delta w - w* becomes bytes, and numbers again.
//
//   codec       bytes a parameter   form (little endian)
//   INT8_BLOCK  1.0625              blocks of 64: one fp32 scale, 64 signed bytes;   value = scale
//   * code INT4_BLOCK  0.5625              blocks of 64: one fp32 scale, 32 bytes; byte j holds
//   element j in its lower half and
//                                   element j + 32 in its upper half, each as code + 8
//   BF16        2                   the upper half of the fp32, rounded to nearest even
//   FP32        4                   exact
//
// The last block is filled up with zeros. The scale is the block's largest magnitude / 127 (INT4: /
// 7), so no element is off by more than half a scale; a block whose magnitudes all lie below 1e-30
// becomes zeros. Always encode deltas: quantised raw weights would drown the posterior's spread.
//
// Traces are evaluated at decoded weights, so encode first and evaluate DecodeDraw's numbers. All
// functions are pure and give the same bits on every processor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/sampler_settings.h"

namespace bif::engine {

// Bytes that EncodeDraw makes of `elements` numbers; 0 for an unknown codec.
uint64_t EncodedDrawBytes(DrawCodec codec, uint64_t elements);

// INVALID_ARGUMENT if a number is not finite (BF16 and FP32 included) or the codec is unknown.
absl::StatusOr<std::string> EncodeDraw(DrawCodec codec, absl::Span<const float> delta);

// Fills `delta`. DATA_LOSS, with `delta` untouched, if `payload` does not have the size that
// delta.size() numbers take.
absl::Status DecodeDraw(DrawCodec codec, std::string_view payload, absl::Span<float> delta);

}  // namespace bif::engine
