// Splits numbers into planes of bytes and puts them together again: floats into four, sixteen at a
// time, and floats kept as halves (src/base/half.h) into two.
// Thread-safe.
#pragma once

#include <array>
#include <cstddef>

namespace bif::storage {

// planes[p][i] = byte p (0: least significant) of values[i].
void SplitPlanes(const float* values, size_t count, const std::array<char*, 4>& planes);
void JoinPlanes(const std::array<const char*, 4>& planes, size_t count, float* values);

// The same for the halves that the values are rounded to.
void SplitHalves(const float* values, size_t count, const std::array<char*, 2>& planes);
void JoinHalves(const std::array<const char*, 2>& planes, size_t count, float* values);

// rows[r * columns + c] = values[c * stride + r].
void TransposeToRows(const float* values, size_t stride, size_t rows, size_t columns, float* out);

}  // namespace bif::storage
