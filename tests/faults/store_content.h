// What the storage scenario writes: every number follows from where it lies, so that whoever reads
// it back knows what it has to be without having been there. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "src/base/tensor.h"
#include "src/storage/draw_store.h"
#include "src/storage/trace_store.h"

namespace bif::faults {

// SplitMix64's output function over a place: differs in half of its bits wherever a coordinate
// differs.
inline uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}
template <typename... Coordinates>
uint64_t Mix(uint64_t first, uint64_t second, Coordinates... rest) {
  return Mix(Mix(first) ^ second, static_cast<uint64_t>(rest)...);
}

// Between 1 and 2, with a random mantissa.
inline float Number(uint64_t mixed) {
  const uint32_t bits = 0x3f800000u | static_cast<uint32_t>(mixed & 0x7fffff);
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}

inline std::string Bytes(uint64_t seed, size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(Mix(seed, i));
  return bytes;
}

// --- samples: rows of three floats and a label ---

inline SampleBatch Rows(uint32_t dataset, int64_t first, int64_t rows) {
  SampleBatch batch;
  batch.rows = rows;
  batch.columns.push_back({{"x", DType::kFloat32, {3}}, {}});
  batch.columns.push_back({{"label", DType::kInt64, {}}, {}});
  const auto append = [](Column& column, const auto& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    column.data.insert(column.data.end(), bytes, bytes + sizeof(value));
  };
  for (int64_t row = first; row < first + rows; ++row) {
    for (uint64_t i = 0; i < 3; ++i)
      append(batch.columns[0], Number(Mix(1, dataset, static_cast<uint64_t>(row), i)));
    append(batch.columns[1], row * 31 + int64_t{dataset});
  }
  return batch;
}

inline std::vector<std::string> RowIds(uint32_t dataset, int64_t first, int64_t rows) {
  std::vector<std::string> ids;
  for (int64_t row = first; row < first + rows; ++row)
    ids.push_back("dataset-" + std::to_string(dataset) + "-row-" + std::to_string(row));
  return ids;
}

// --- posteriors: two chains, traced for some rows of dataset 1 ---

inline constexpr uint32_t kLosses = 0x10000;  // the array

struct PosteriorShape {
  uint32_t chains;
  uint32_t slots;
  uint32_t draws;  // that a segment adds
};
// Posteriors from 100 on are large: a segment's traces go around the log, as a table file.
inline PosteriorShape ShapeOf(uint64_t posterior) {
  return posterior >= 100 ? PosteriorShape{1, 105'000, 10} : PosteriorShape{2, 20, 5};
}

inline float TraceCell(uint64_t posterior, uint32_t chain, uint32_t slot, uint32_t draw) {
  return Number(Mix(posterior * 1024 + chain, (uint64_t{slot} << 32) | draw));
}
// values[draw][slot]
inline std::vector<float> Traces(uint64_t posterior, uint32_t chain, uint32_t slots,
                                 uint32_t first_draw, uint32_t draws) {
  std::vector<float> values;
  values.reserve(size_t{slots} * draws);
  for (uint32_t d = first_draw; d < first_draw + draws; ++d) {
    for (uint32_t s = 0; s < slots; ++s) values.push_back(TraceCell(posterior, chain, s, d));
  }
  return values;
}

inline storage::EncodedDraw Draw(uint64_t posterior, uint32_t chain, uint32_t draw) {
  storage::EncodedDraw encoded;
  encoded.codec = 4;
  encoded.elements = 25;
  encoded.payload = Bytes(Mix(3, posterior, chain, draw), 90 + draw % 7);
  return encoded;
}

inline storage::DrawStore::State ChainState(uint64_t posterior, uint32_t chain, uint64_t step) {
  storage::DrawStore::State state;
  state.step = step;
  for (uint64_t i = 0; i < 40; ++i) {
    state.weights.push_back(Number(Mix(4, posterior, chain, step, i)));
    state.second_moments.push_back(Number(Mix(5, posterior, chain, step, i)));
  }
  return state;
}
inline uint64_t StepAfter(uint32_t draws) { return uint64_t{10} * draws; }

// --- programs and other records ---

inline std::string ProgramBytes(uint32_t program) { return Bytes(Mix(6, program), 1500); }
inline std::string RecordBytes(uint32_t record) { return Bytes(Mix(7, record), 100 + record % 50); }

}  // namespace bif::faults
