// What language models cost, and what the chunked loss saves. Prints `name value unit` a line, or
// one JSON object with --json.
//
//   lm_trace_tokens_per_second     Observe of 128 sequences of 64 to 150 tokens at one draw, with
//   the
//                                  tuned plan, on a Llama-like model of 0.26 M parameters
//   lm_step_tokens_per_second      sampling steps of one chain with batches of 32 sequences
//   lm_new_query_seconds           one sequence of 64 tokens at 400 draws
//   lm_tune_seconds                the choice of the plan
//   lm_loss_memory_ratio           peak memory of losses and gradients from hidden states
//                                  [2048, 256] and a vocabulary of 50,000, without what is
//                                  returned: all logits at once, against some tokens at a time
//   lm_loss_time_ratio             the time of the same: chunked over plain; at most 1.15 is wanted
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/engine/torch/test_programs.h"
#include "src/engine/torch/token_losses.h"

namespace bif::engine {
namespace {

using testing::OkOrDie;
using testing::ValueOrDie;

// Counts what LibTorch's operators hold. Everything is as before, but for a header of 64 bytes.
class CountingAllocator final : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator& base) : base_(base) {}

  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr memory = base_.allocate(bytes + kHeader);
    auto* begin = static_cast<std::byte*>(memory.release_context());
    *reinterpret_cast<size_t*>(begin) = bytes;
    held_ += static_cast<int64_t>(bytes);
    peak_ = std::max(peak_.load(), held_.load());
    return {begin + kHeader, begin, &Free, c10::Device(c10::kCPU)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    base_.copy_data(to, from, bytes);
  }

  static void Watch() {
    static CountingAllocator& allocator = *new CountingAllocator(*c10::GetCPUAllocator());
    c10::SetCPUAllocator(&allocator, /*priority=*/1);
    deleter_ = allocator.base_.raw_deleter();
  }
  // The most that was held beyond what was there before.
  static int64_t PeakOf(const std::function<void()>& work) {
    const int64_t before = held_;
    peak_ = before;
    work();
    return peak_ - before;
  }

 private:
  static constexpr size_t kHeader = 64;

  static void Free(void* begin) {
    held_ -= static_cast<int64_t>(*reinterpret_cast<size_t*>(begin));
    deleter_(begin);
  }

  static inline std::atomic<int64_t> held_ = 0, peak_ = 0;
  static inline c10::DeleterFnPtr deleter_ = nullptr;
  c10::Allocator& base_;
};

double Seconds(const std::function<void()>& work) {
  const absl::Time start = absl::Now();
  work();
  return absl::ToDoubleSeconds(absl::Now() - start);
}

double Fastest(int rounds, const std::function<void()>& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) best = std::min(best, Seconds(work));
  return best;
}

int64_t Tokens(const ResidentRows& rows, int64_t count) {
  int64_t tokens = 0;
  for (int64_t row = 0; row < count; ++row) tokens += rows.token_losses(row) + 1;
  return tokens;
}

using Print = std::function<void(const std::string&, double, const char*)>;

void MeasureModel(const Print& print) {
  constexpr int64_t kRows = 128;
  const auto model = testing::LoadLanguageModel("llama_260k");
  const auto train = ValueOrDie(model->Upload(testing::RandomSequences(kRows, 64, 150, 512)));
  const MovingSet moving = ValueOrDie(SelectParameters(model->info().parameters, {}));
  SamplerSettings settings;
  settings.step_size = 1e-6;
  settings.nbeta = 10;
  settings.gamma = 100;
  settings.batch_size = 32;
  settings.chains = 2;
  ExecutionPlan plan;
  const auto tune = [&] { plan = ValueOrDie(model->Tune(settings, moving, *train)); };
  print("lm_tune_seconds", Seconds(tune), "s");
  std::fprintf(stderr, "llama_260k: %s\n", plan.ToString().c_str());

  const std::vector<float> delta(static_cast<size_t>(moving.elements), 1e-4f);
  std::vector<float> values(kRows);
  const double trace = Fastest(5, [&] {
    OkOrDie(model->Observe(moving, {absl::MakeConstSpan(delta)}, *train, 0, kRows, {}, plan,
                           absl::MakeSpan(values)));
  });
  print("lm_trace_tokens_per_second", static_cast<double>(Tokens(*train, kRows)) / trace,
        "tokens/s");

  // Every step takes the same rows, so that tokens can be counted.
  settings.batch_order = BatchOrder::kReplay;
  settings.replay_batches = {{}};
  for (uint32_t row = 0; row < settings.batch_size; ++row)
    settings.replay_batches[0].push_back(row);
  const auto chain = ValueOrDie(model->StartChains(settings, moving, plan, *train, 0, 1, {}));
  const double step = Fastest(6, [&] { OkOrDie(chain->Advance(1).status()); });
  print("lm_step_tokens_per_second",
        static_cast<double>(Tokens(*train, settings.batch_size)) / step, "tokens/s");

  const auto query = ValueOrDie(model->Upload(testing::RandomSequences(1, 64, 64, 512)));
  const std::vector<absl::Span<const float>> draws(400, delta);
  values.resize(draws.size());
  print("lm_new_query_seconds",
        Fastest(3,
                [&] {
                  OkOrDie(model->Observe(moving, draws, *query, 0, 1, {}, plan,
                                         absl::MakeSpan(values)));
                }),
        "s");
}

// From hidden states to losses and the gradients of their mean.
class LossPart {
 public:
  void Plain() const {
    const at::AutoGradMode record(true);
    const at::Tensor logits = at::linear(head_.input, head_.weight).flatten(0, 1);
    const at::Tensor loss = at::cross_entropy_loss(logits, targets_.tokens);
    torch::autograd::grad({loss}, {head_.input, head_.weight});
  }
  void Chunked() const { GradientOfTokenLosses(head_, targets_, weights_, ComputeType::kFp32); }
  int64_t returned_bytes() const {
    return static_cast<int64_t>(head_.input.nbytes() + head_.weight.nbytes());
  }

 private:
  static constexpr int64_t kTokens = 2048, kWidth = 256, kVocabulary = 50000;
  const LinearHead head_ = {at::randn({1, kTokens, kWidth}).set_requires_grad(true),
                            at::randn({kVocabulary, kWidth}).mul_(0.05).set_requires_grad(true),
                            {}};
  const TokenTargets targets_ = {
      at::arange(kTokens), at::randint(kVocabulary, {kTokens}, at::kLong), {kTokens}};
  const at::Tensor weights_ = at::full({kTokens}, 1.0f / kTokens);
};

void MeasureLossPart(const Print& print) {
  const LossPart part;
  const int64_t plain = CountingAllocator::PeakOf([&] { part.Plain(); });
  const int64_t chunked = CountingAllocator::PeakOf([&] { part.Chunked(); });
  const int64_t returned = part.returned_bytes();
  print("lm_loss_memory_ratio",
        static_cast<double>(plain - returned) / static_cast<double>(chunked - returned), "ratio");
  double plain_seconds = std::numeric_limits<double>::infinity(), chunked_seconds = plain_seconds;
  for (int round = 0; round < 5; ++round) {  // alternating, so that a slow moment hits both
    plain_seconds = std::min(plain_seconds, Seconds([&] { part.Plain(); }));
    chunked_seconds = std::min(chunked_seconds, Seconds([&] { part.Chunked(); }));
  }
  std::fprintf(stderr,
               "  loss part: plain %.3f s, %.0f MB; chunked %.3f s, %.0f MB; returned %.0f MB\n",
               plain_seconds, static_cast<double>(plain) / 1e6, chunked_seconds,
               static_cast<double>(chunked) / 1e6, static_cast<double>(returned) / 1e6);
  print("lm_loss_time_ratio", chunked_seconds / plain_seconds, "ratio");
}

int Main(bool json, int threads) {
  testing::TestEngine(threads);
  CountingAllocator::Watch();
  nlohmann::ordered_json figures;
  const Print print = [&](const std::string& name, double value, const char* unit) {
    figures[name] = value;
    if (!json) std::printf("%s %.4g %s\n", name.c_str(), value, unit);
    std::fflush(stdout);
  };
  MeasureLossPart(print);
  MeasureModel(print);
  if (json) std::printf("%s\n", figures.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace bif::engine

// lm_benchmark [--json] [--threads N]; N is one a core by default.
int main(int argc, char** argv) {
  bool json = false;
  int threads = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") json = true;
    if (argument == "--threads" && i + 1 < argc) threads = std::atoi(argv[++i]);
  }
  return bif::engine::Main(json, threads);
}
