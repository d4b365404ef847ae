// Time a parameter of what happens outside LibTorch in a step and in a decoded draw.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "src/engine/batch_order.h"
#include "src/engine/draw_codec.h"
#include "src/engine/gaussian_noise.h"
#include "src/engine/sampler_step.h"

namespace bif::engine {
namespace {

constexpr size_t kParameters = 101770;  // an MLP 784-128-10

void PerParameter(benchmark::State& state) {
  state.counters["parameters/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * kParameters, benchmark::Counter::kIsRate);
}

void BM_Noise(benchmark::State& state) {
  std::vector<float> out(kParameters);
  uint64_t step = 0;
  for (auto _ : state) {
    FillGaussianNoise(RandomBlocks(1, 0, step++, RandomStream::kNoise), 0, absl::MakeSpan(out));
    benchmark::DoNotOptimize(out.data());
  }
  PerParameter(state);
}
BENCHMARK(BM_Noise);

void BM_Step(benchmark::State& state) {
  StepRule rule;
  rule.algorithm = static_cast<Algorithm>(state.range(0));
  rule.step_size = 1e-4, rule.nbeta = 1000, rule.gamma = 300;
  const std::vector<float> gradient(kParameters, 1e-3f), anchor(kParameters, 0.1f);
  std::vector<float> w = anchor, v(kParameters, 0.0f);
  uint64_t step = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        SamplerStepWithNoise(rule, RandomBlocks(1, 0, step++, RandomStream::kNoise), 0, gradient,
                             anchor, absl::MakeSpan(w), absl::MakeSpan(v)));
  }
  PerParameter(state);
}
BENCHMARK(BM_Step)->Arg(1)->Arg(2)->ArgName("algorithm");

void BM_Encode(benchmark::State& state) {
  const std::vector<float> delta(kParameters, 0.01f);
  for (auto _ : state)
    benchmark::DoNotOptimize(EncodeDraw(static_cast<DrawCodec>(state.range(0)), delta));
  PerParameter(state);
}
BENCHMARK(BM_Encode)->DenseRange(1, 4)->ArgName("codec");

void BM_Decode(benchmark::State& state) {
  const auto codec = static_cast<DrawCodec>(state.range(0));
  const std::string payload = EncodeDraw(codec, std::vector<float>(kParameters, 0.01f)).value();
  std::vector<float> out(kParameters);
  for (auto _ : state)
    benchmark::DoNotOptimize(DecodeDraw(codec, payload, absl::MakeSpan(out)).ok());
  PerParameter(state);
}
BENCHMARK(BM_Decode)->DenseRange(1, 4)->ArgName("codec");

void BM_ShuffledBatch(benchmark::State& state) {
  SamplerSettings settings;
  BatchOrderOf order(settings, 60000, 0);
  uint64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(order.Batch(step++));
}
BENCHMARK(BM_ShuffledBatch);

}  // namespace
}  // namespace bif::engine
