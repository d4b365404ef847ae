#include "src/engine/torch/devinterp_streams.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace bif::engine {

std::vector<std::vector<uint32_t>> DevinterpBatches(uint64_t seed, int64_t rows,
                                                    int64_t batch_rows) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  at::empty({}, at::kLong).random_(generator);
  const at::Tensor order = at::randperm(rows, generator, at::kLong);
  const int64_t* row = order.const_data_ptr<int64_t>();
  std::vector<std::vector<uint32_t>> batches(static_cast<size_t>(rows / batch_rows));
  for (std::vector<uint32_t>& batch : batches) {
    for (int64_t i = 0; i < batch_rows; ++i) batch.push_back(static_cast<uint32_t>(*row++));
  }
  return batches;
}

DevinterpNoise::DevinterpNoise(uint64_t seed, uint32_t chain, const WeightLayout& layout)
    : seed_(seed + chain),
      layout_(layout),
      generator_(at::make_generator<at::CPUGeneratorImpl>(seed_)) {}

void DevinterpNoise::Fill(uint64_t step, absl::Span<float> noise) {
  if (step < next_step_) {
    generator_ = at::make_generator<at::CPUGeneratorImpl>(seed_);
    next_step_ = 0;
  }
  for (; next_step_ <= step; ++next_step_) Next(noise);
}

void DevinterpNoise::Next(absl::Span<float> noise) {
  for (const WeightRange& range : layout_.ranges) {
    at::from_blob(noise.data() + range.delta_begin, {range.elements}, at::kFloat)
        .normal_(0, 1, generator_);
  }
}

}  // namespace bif::engine
