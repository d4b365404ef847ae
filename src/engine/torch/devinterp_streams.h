// The random numbers of a run of the Python package devinterp 2.x, from its seed: RandomStreams::
// kDevinterp.
//
// Noise: chain c seeds PyTorch's CPU generator with seed + c, and every step takes, for one moving
// parameter after the other, a tensor of standard normal numbers from it.
//
// Batches: a generator seeded with `seed`, the same for all chains, is asked for one int64
// (PyTorch's DataLoader does that), then for a permutation of the rows. That is cut into whole
// batches, and these come round for ever: there is no second shuffle.
//
// The numbers are those of the LibTorch that runs, as devinterp's are those of its PyTorch; they
// have been the same for years.
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/engine/torch/weight_layout.h"

namespace bif::engine {

// The batches of one epoch, of one size, as positions in the training rows. May throw c10::Error.
std::vector<std::vector<uint32_t>> DevinterpBatches(uint64_t seed, int64_t rows,
                                                    int64_t batch_rows);

// The noise of one chain. Thread-compatible.
class DevinterpNoise {
 public:
  // `layout` must outlive the object.
  DevinterpNoise(uint64_t seed, uint32_t chain, const WeightLayout& layout);

  // The noise of a step, in the order of a delta. Steps that come one after the other are quick;
  // any other one is reached from the start of the stream, as in a run that is resumed: about a
  // second for each 10^8 numbers. May throw c10::Error.
  void Fill(uint64_t step, absl::Span<float> noise);

 private:
  void Next(absl::Span<float> noise);

  const uint64_t seed_;
  const WeightLayout& layout_;
  at::Generator generator_;
  uint64_t next_step_ = 0;
};

}  // namespace bif::engine
