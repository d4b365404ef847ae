#include "src/engine/torch/device_noise.h"

#include <ATen/ATen.h>

#include <numbers>

namespace bif::engine {
namespace {

constexpr int64_t kWord = 0xFFFFFFFF;  // of an int64: there are no unsigned tensors to multiply

struct Product {
  at::Tensor low, high;
};

// Of words: the lower 64 bits of an int64 product are those of the unsigned one.
Product Multiply(const at::Tensor& words, uint32_t multiplier) {
  const at::Tensor product = words * static_cast<int64_t>(multiplier);
  return {product & kWord, product.__rshift__(32).bitwise_and_(kWord)};
}

// [streams, 1]: one number of each stream.
template <typename Function>
at::Tensor OfStreams(absl::Span<const RandomBlocks> streams, c10::Device device,
                     const Function& number) {
  std::vector<int64_t> numbers;
  for (const RandomBlocks& stream : streams) numbers.push_back(int64_t{number(stream)});
  return at::tensor(numbers, at::kLong).to(device).unsqueeze(1);
}

// The first and the second number of each pair of words (gaussian_noise.cc has the formulas).
void AppendPair(const at::Tensor& radius_word, const at::Tensor& angle_word,
                std::vector<at::Tensor>& numbers) {
  constexpr double kQuarterTurn = std::numbers::pi / 2;
  const at::Tensor u = radius_word.__rshift__(1).to(at::kFloat).add_(0.5).mul_(0x1p-31);
  const at::Tensor radius = u.log_().mul_(-2.0).sqrt_();
  const at::Tensor within = angle_word.bitwise_and(0x3FFFFFFF)
                                .sub_(0x20000000)
                                .to(at::kFloat)
                                .mul_(0x1p-30 * kQuarterTurn);
  const at::Tensor angle = angle_word.__rshift__(30).to(at::kFloat).mul_(kQuarterTurn).add_(within);
  numbers.push_back(angle.cos().mul_(radius));
  numbers.push_back(angle.sin().mul_(radius));
}

}  // namespace

std::vector<at::Tensor> PhiloxWords(absl::Span<const RandomBlocks> streams,
                                    const at::Tensor& blocks) {
  const c10::Device device = blocks.device();
  const auto count = static_cast<int64_t>(streams.size());
  at::Tensor c0 = blocks.unsqueeze(0).expand({count, blocks.size(0)});
  at::Tensor c1 = OfStreams(streams, device, [](const RandomBlocks& s) { return s.base.c1; });
  at::Tensor c2 = OfStreams(streams, device, [](const RandomBlocks& s) { return s.base.c2; });
  at::Tensor c3 = OfStreams(streams, device, [](const RandomBlocks& s) { return s.base.c3; });
  at::Tensor k0 = OfStreams(streams, device, [](const RandomBlocks& s) { return s.key.k0; });
  at::Tensor k1 = OfStreams(streams, device, [](const RandomBlocks& s) { return s.key.k1; });
  constexpr PhiloxKey kStep = NextPhiloxKey({});
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const Product p0 = Multiply(c0, kPhiloxMultiplier0), p1 = Multiply(c2, kPhiloxMultiplier1);
    c0 = p1.high.bitwise_xor(c1).bitwise_xor(k0);
    c2 = p0.high.bitwise_xor(c3).bitwise_xor(k1);
    c1 = p1.low;
    c3 = p0.low;
    k0 = (k0 + int64_t{kStep.k0}).bitwise_and_(kWord);
    k1 = (k1 + int64_t{kStep.k1}).bitwise_and_(kWord);
  }
  return {c0, c1, c2, c3};
}

DeviceNoise::DeviceNoise(const WeightLayout& layout, c10::Device device) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> blocks;
  places_ = at::zeros({layout.row_elements}, at::kLong);
  int64_t blocks_before = 0;
  for (const WeightRange& range : layout.ranges) {
    if (range.elements == 0) continue;
    const int64_t first = range.flat_position / 4;
    const int64_t end = (range.flat_position + range.elements - 1) / 4 + 1;
    blocks.push_back(at::arange(first, end, at::kLong));
    const int64_t place = 4 * blocks_before + range.flat_position % 4;
    places_.narrow(0, range.row_offset, range.elements)
        .copy_(at::arange(place, place + range.elements, at::kLong));
    blocks_before += end - first;
  }
  blocks_ = at::cat(blocks).to(device);
  places_ = places_.to(device);
}

at::Tensor DeviceNoise::Rows(absl::Span<const RandomBlocks> streams) const {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> words = PhiloxWords(streams, blocks_);
  std::vector<at::Tensor> numbers;
  AppendPair(words[0], words[1], numbers);
  AppendPair(words[2], words[3], numbers);
  return at::stack(numbers, -1).flatten(1).index_select(1, places_);
}

}  // namespace bif::engine
