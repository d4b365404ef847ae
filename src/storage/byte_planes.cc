#include "src/storage/byte_planes.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "src/base/half.h"

namespace bif::storage {
namespace {

// GCC's and Clang's portable vectors: SSE2 on x86-64, NEON on ARM, no dispatch needed.
using Bytes = uint8_t __attribute__((vector_size(16)));
using Floats = float __attribute__((vector_size(16)));

template <typename Vector>
Vector Load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}
template <typename Vector>
void Store(void* to, Vector vector) {
  std::memcpy(to, &vector, sizeof(vector));
}

// a0 b0 a1 b1 ... of the lower and of the upper halves.
Bytes ZipLow(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
Bytes ZipHigh(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

}  // namespace

void SplitPlanes(const float* values, size_t count, const std::array<char*, 4>& planes) {
  const char* bytes = reinterpret_cast<const char*>(values);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    Bytes a = Load<Bytes>(bytes + 4 * i), b = Load<Bytes>(bytes + 4 * i + 16);
    Bytes c = Load<Bytes>(bytes + 4 * i + 32), d = Load<Bytes>(bytes + 4 * i + 48);
    // Zipping halves of a sequence is a perfect shuffle of its index bits; four of them turn
    // (element, byte) of 64 bytes into (byte, element).
    for (int round = 0; round < 4; ++round) {
      const Bytes p = ZipLow(a, c), q = ZipHigh(a, c), r = ZipLow(b, d), s = ZipHigh(b, d);
      a = p, b = q, c = r, d = s;
    }
    Store(planes[0] + i, a);
    Store(planes[1] + i, b);
    Store(planes[2] + i, c);
    Store(planes[3] + i, d);
  }
  for (; i < count; ++i) {
    for (size_t p = 0; p < 4; ++p) planes[p][i] = bytes[4 * i + p];
  }
}

void JoinPlanes(const std::array<const char*, 4>& planes, size_t count, float* values) {
  char* bytes = reinterpret_cast<char*>(values);
  const auto join_sixteen = [&](size_t i) {
    const Bytes a = Load<Bytes>(planes[0] + i), b = Load<Bytes>(planes[1] + i);
    const Bytes c = Load<Bytes>(planes[2] + i), d = Load<Bytes>(planes[3] + i);
    const Bytes ac_low = ZipLow(a, c), ac_high = ZipHigh(a, c);
    const Bytes bd_low = ZipLow(b, d), bd_high = ZipHigh(b, d);
    Store(bytes + 4 * i, ZipLow(ac_low, bd_low));
    Store(bytes + 4 * i + 16, ZipHigh(ac_low, bd_low));
    Store(bytes + 4 * i + 32, ZipLow(ac_high, bd_high));
    Store(bytes + 4 * i + 48, ZipHigh(ac_high, bd_high));
  };
  size_t i = 0;
  for (; i + 16 <= count; i += 16) join_sixteen(i);
  if (i == count) return;
  if (count >= 16)
    return join_sixteen(count - 16);  // overlaps what is done: rows of 24 or 40 have no slow rest
  for (; i < count; ++i) {
    for (size_t p = 0; p < 4; ++p) bytes[4 * i + p] = planes[p][i];
  }
}

void SplitHalves(const float* values, size_t count, const std::array<char*, 2>& planes) {
  for (size_t i = 0; i < count; ++i) {
    const uint16_t half = FloatToHalf(values[i]);
    planes[0][i] = static_cast<char>(half & 0xff);
    planes[1][i] = static_cast<char>(half >> 8);
  }
}

void JoinHalves(const std::array<const char*, 2>& planes, size_t count, float* values) {
  for (size_t i = 0; i < count; ++i) {
    const auto low = static_cast<uint8_t>(planes[0][i]);
    const auto high = static_cast<uint8_t>(planes[1][i]);
    values[i] = HalfToFloat(static_cast<uint16_t>(low | high << 8));
  }
}

void TransposeToRows(const float* values, size_t stride, size_t rows, size_t columns, float* out) {
  const size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (size_t c = 0; c < whole_columns; c += 4) {
    for (size_t r = 0; r < whole_rows; r += 4) {
      const float* from = values + c * stride + r;
      const Floats a = Load<Floats>(from), b = Load<Floats>(from + stride);
      const Floats e = Load<Floats>(from + 2 * stride), f = Load<Floats>(from + 3 * stride);
      const Floats ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                   ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Floats ef_low = __builtin_shufflevector(e, f, 0, 4, 1, 5),
                   ef_high = __builtin_shufflevector(e, f, 2, 6, 3, 7);
      float* to = out + r * columns + c;
      Store(to, __builtin_shufflevector(ab_low, ef_low, 0, 1, 4, 5));
      Store(to + columns, __builtin_shufflevector(ab_low, ef_low, 2, 3, 6, 7));
      Store(to + 2 * columns, __builtin_shufflevector(ab_high, ef_high, 0, 1, 4, 5));
      Store(to + 3 * columns, __builtin_shufflevector(ab_high, ef_high, 2, 3, 6, 7));
    }
  }
  for (size_t c = 0; c < columns; ++c) {
    const size_t first = c < whole_columns ? whole_rows : 0;
    for (size_t r = first; r < rows; ++r) out[r * columns + c] = values[c * stride + r];
  }
}

}  // namespace bif::storage
