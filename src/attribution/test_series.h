// Numbers for tests: deterministic on every machine, without the standard library's distributions.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace bif::attribution {

class TestRandom {
 public:
  // Seeds are scrambled: splitmix's streams of neighbouring states are shifts of each other.
  explicit TestRandom(uint64_t seed) : state_(Scramble(Scramble(seed + 1))) {}

  uint64_t Next() { return Scramble(state_ += 0x9E3779B97F4A7C15u); }
  double Uniform() { return (static_cast<double>(Next() >> 11) + 0.5) * 0x1.0p-53; }
  double Normal() {  // Marsaglia's polar method
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double u, v, s;
    do {
      u = 2 * Uniform() - 1;
      v = 2 * Uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s == 0);
    const double scale = std::sqrt(-2 * std::log(s) / s);
    spare_ = v * scale;
    has_spare_ = true;
    return u * scale;
  }

 private:
  static uint64_t Scramble(uint64_t z) {  // splitmix64 (Steele, Lea, Flood 2014)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
  bool has_spare_ = false;
  double spare_ = 0;
};

// The series of tests/golden/convergence.py: AR(1) driven by a linear congruential generator.
inline std::vector<float> GoldenSeries(int chains, int draws, double rho, double shift) {
  std::vector<float> values;
  uint32_t state = 1;
  for (int c = 0; c < chains; ++c) {
    double x = 0;
    for (int t = 0; t < draws; ++t) {
      state = state * 1664525u + 1013904223u;
      x = rho * x + (static_cast<double>(state >> 8) / 16777216.0 - 0.5);
      values.push_back(static_cast<float>(x + c * shift));
    }
  }
  return values;
}

}  // namespace bif::attribution
