#include "src/engine/batch_order.h"

#include <numeric>
#include <utility>

#include "src/engine/philox.h"

namespace bif::engine {
namespace {

// Uniform numbers of 64 bits, two from a Philox block.
class Uniform64 {
 public:
  Uniform64(uint64_t seed, uint32_t chain, uint64_t index)
      : blocks_(seed, chain, index, RandomStream::kBatchOrder) {}

  // Below `bound`, by the upper half of a 128-bit product: the bias is bound / 2^64, which nobody
  // can measure.
  uint32_t Below(uint32_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint32_t>(Wide{Next()} * bound >> 64);
  }

 private:
  uint64_t Next() {
    if (used_ % 2 == 0) words_ = blocks_(static_cast<uint32_t>(used_ / 2));
    const bool first = used_++ % 2 == 0;
    return first ? uint64_t{words_.c0} << 32 | words_.c1 : uint64_t{words_.c2} << 32 | words_.c3;
  }

  RandomBlocks blocks_;
  PhiloxCounter words_;
  uint64_t used_ = 0;
};

}  // namespace

BatchOrderOf::BatchOrderOf(const SamplerSettings& settings, int64_t train_rows, uint32_t chain)
    : order_(settings.batch_order),
      seed_(settings.seed),
      chain_(chain),
      rows_(static_cast<uint32_t>(train_rows)),
      batch_rows_(order_ == BatchOrder::kReplay ? settings.replay_batches.at(0).size()
                                                : settings.batch_size) {
  if (order_ == BatchOrder::kReplay) replay_ = settings.replay_batches;
}

absl::Span<const uint32_t> BatchOrderOf::Batch(uint64_t step) {
  if (order_ == BatchOrder::kReplay) return replay_[step % replay_.size()];
  if (order_ == BatchOrder::kWithReplacement) {
    Uniform64 uniform(seed_, chain_, step);
    rows_in_order_.resize(batch_rows_);
    for (uint32_t& row : rows_in_order_) row = uniform.Below(rows_);
    return rows_in_order_;
  }
  const uint64_t batches_an_epoch = rows_ / batch_rows_;
  Shuffle(step / batches_an_epoch);
  return absl::MakeConstSpan(rows_in_order_)
      .subspan(step % batches_an_epoch * batch_rows_, batch_rows_);
}

void BatchOrderOf::Shuffle(uint64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  rows_in_order_.resize(rows_);
  std::iota(rows_in_order_.begin(), rows_in_order_.end(), 0);
  Uniform64 uniform(seed_, chain_, epoch);
  for (uint32_t last = rows_ - 1; last > 0; --last) {
    std::swap(rows_in_order_[last], rows_in_order_[uniform.Below(last + 1)]);
  }
}

}  // namespace bif::engine
