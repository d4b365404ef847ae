// Which training rows a step's batch holds. The batch of step t is a pure function of (seed, chain,
// t).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "src/engine/sampler_settings.h"

namespace bif::engine {

// The batches of one chain.
//   SHUFFLED_EPOCHS   every epoch is a new Fisher-Yates shuffle of all rows, cut into batches; the
//   incomplete last batch
//                     is dropped. One shuffle is kept, so consecutive steps are cheap and any step
//                     is possible.
//   WITH_REPLACEMENT  rows are independent and uniform.
//   REPLAY            settings.replay_batches[t mod their number]; all chains see the same.
// Thread-compatible. Wants settings that ValidateSettings accepts for `train_rows`.
class BatchOrderOf {
 public:
  BatchOrderOf(const SamplerSettings& settings, int64_t train_rows, uint32_t chain);

  size_t batch_rows() const { return batch_rows_; }
  // Positions in the training rows; steps count from 0. Valid until the next call.
  absl::Span<const uint32_t> Batch(uint64_t step);

 private:
  void Shuffle(uint64_t epoch);

  BatchOrder order_;
  uint64_t seed_;
  uint32_t chain_;
  uint32_t rows_;
  size_t batch_rows_;
  std::vector<std::vector<uint32_t>> replay_;
  std::vector<uint32_t> rows_in_order_;  // of epoch_, or the batch with WITH_REPLACEMENT
  uint64_t epoch_ = ~uint64_t{0};
};

}  // namespace bif::engine
