// Splits floats into four planes of bytes and puts them together again, sixteen at a time.
// Thread-safe.
#pragma once

#include <array>
#include <cstddef>

namespace bif::storage {

// planes[p][i] = byte p (0: least significant) of values[i].
void SplitPlanes(const float* values, size_t count, const std::array<char*, 4>& planes);
void JoinPlanes(const std::array<const char*, 4>& planes, size_t count, float* values);

// rows[r * columns + c] = values[c * stride + r].
void TransposeToRows(const float* values, size_t stride, size_t rows, size_t columns, float* out);

}  // namespace bif::storage
