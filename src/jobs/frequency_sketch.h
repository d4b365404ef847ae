// About how often each key was asked for lately, in a fixed number of bytes: a count-min sketch of
// small counters, all of which are halved after every so many counts, so that what was popular
// yesterday makes room (TinyLFU: Einziger, Friedman and Manes, ACM Transactions on Storage 13(4),
// 2017).
//
// Never too low between two halvings; too high for few keys. Thread-compatible.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bif::jobs {

class FrequencySketch {
 public:
  // For about `keys` keys that matter at a time.
  explicit FrequencySketch(size_t keys) : counts_until_halving_(10 * std::max<size_t>(keys, 16)) {
    size_t width = 16;
    while (width < keys) width *= 2;
    for (auto& row : rows_) row.assign(width, 0);
  }

  void Count(uint64_t hash) {
    for (size_t r = 0; r < kRows; ++r) {
      uint8_t& counter = rows_[r][Slot(hash, r)];
      if (counter < kMost) ++counter;
    }
    if (++counts_ < counts_until_halving_) return;
    counts_ /= 2;
    for (auto& row : rows_) {
      for (uint8_t& counter : row) counter /= 2;
    }
  }

  uint8_t Frequency(uint64_t hash) const {
    uint8_t least = kMost;
    for (size_t r = 0; r < kRows; ++r) least = std::min(least, rows_[r][Slot(hash, r)]);
    return least;
  }

 private:
  static constexpr size_t kRows = 4;
  static constexpr uint8_t kMost = 15;

  // Each row takes other bits of another product: the rows' collisions are independent enough.
  size_t Slot(uint64_t hash, size_t row) const {
    constexpr uint64_t kOdd[kRows] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
                                      0xd6e8feb86659fd93};
    return static_cast<size_t>((hash * kOdd[row]) >> 32) & (rows_[row].size() - 1);
  }

  std::array<std::vector<uint8_t>, kRows> rows_;
  const size_t counts_until_halving_;
  size_t counts_ = 0;
};

}  // namespace bif::jobs
