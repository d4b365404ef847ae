// Rounds of the engine's work on a language model, for tests/bench/language_model.py, which runs
// PyTorch's between them.
//
// Prints what the work is as one JSON object, and how the scores from losses computed in bf16 rank
// the sequences, against those from fp32; then, for each line of its input that names a kind of
// work, does it once and prints the seconds:
//
//   trace        the losses of 128 sequences of 128 tokens at the draws of four chains, with the
//                tuned plan, as a posterior traces them
//   mixed        the same of 256 sequences of 8 to 150 tokens
//   mixed_bf16   mixed, computed in bf16
//   step         a sampling step of one chain on 32 of the sequences of 128 tokens
//
// The model is that of `lm_rounds_benchmark PROGRAM`, llama_260k by default.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/engine/gaussian_noise.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using testing::OkOrDie;
using testing::ValueOrDie;

constexpr int32_t kVocabulary = 512;
constexpr int64_t kChains = 4;

SamplerSettings Settings(ComputeType compute) {
  SamplerSettings settings;
  settings.step_size = 1e-6;
  settings.nbeta = 10;
  settings.gamma = 100;
  settings.batch_size = 32;
  settings.chains = kChains;
  settings.compute = compute;
  return settings;
}

// Sequences on the device and the plan that was chosen for them.
struct Rows {
  Rows(Model& model, const MovingSet& moving, ComputeType compute, const SampleBatch& samples)
      : count(samples.rows),
        resident(ValueOrDie(model.Upload(samples))),
        plan(ValueOrDie(model.Tune(Settings(compute), moving, *resident))),
        values(static_cast<size_t>(kChains * count)) {
    std::fprintf(stderr, "  %s\n", plan.ToString().c_str());
  }

  void Trace(Model& model, const MovingSet& moving,
             const std::vector<absl::Span<const float>>& draws) {
    OkOrDie(model.Observe(moving, draws, *resident, 0, count, {}, plan, absl::MakeSpan(values)));
  }

  const int64_t count;
  const std::unique_ptr<ResidentRows> resident;
  const ExecutionPlan plan;
  std::vector<float> values;
};

std::vector<int64_t> Lengths(const ResidentRows& rows, int64_t count) {
  std::vector<int64_t> lengths;
  for (int64_t row = 0; row < count; ++row) lengths.push_back(rows.token_losses(row) + 1);
  return lengths;
}

// The ranks of `values`, from 0.
std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t rank = 0; rank < order.size(); ++rank) ranks[order[rank]] = static_cast<double>(rank);
  return ranks;
}

double Covariance(const double* a, const double* b, size_t size) {
  const double mean_a = std::accumulate(a, a + size, 0.0) / static_cast<double>(size);
  const double mean_b = std::accumulate(b, b + size, 0.0) / static_cast<double>(size);
  double sum = 0;
  for (size_t i = 0; i < size; ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / static_cast<double>(size - 1);
}

// Spearman's correlation of the scores of all rows for one query, from fp32 and from bf16 at the
// same draws: the mean over a few queries. The draws are far enough apart that losses differ in
// their third digit.
double RankCorrelation(Model& model, const MovingSet& moving, const Rows& fp32, const Rows& bf16) {
  constexpr size_t kQueries = 8;
  constexpr int64_t kMostFloats = int64_t{1} << 28;  // of all draws
  const auto count = static_cast<size_t>(std::clamp<int64_t>(kMostFloats / moving.elements, 8, 32));
  std::vector<std::vector<float>> deltas(count);
  std::vector<absl::Span<const float>> draws;
  for (size_t d = 0; d < count; ++d) {
    deltas[d].resize(static_cast<size_t>(moving.elements));
    FillGaussianNoise(RandomBlocks(1, static_cast<uint32_t>(d), 0, RandomStream::kNoise), 0,
                      absl::MakeSpan(deltas[d]));
    for (float& x : deltas[d]) x *= 0.01f;
    draws.push_back(deltas[d]);
  }
  const auto rows = static_cast<size_t>(fp32.count);
  std::vector<std::vector<double>> losses;  // of fp32, of bf16: [row][draw]
  for (const Rows* side : {&fp32, &bf16}) {
    std::vector<float> values(count * rows);
    OkOrDie(model.Observe(moving, draws, *side->resident, 0, side->count, {}, side->plan,
                          absl::MakeSpan(values)));
    std::vector<double>& by_row = losses.emplace_back(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      by_row[i % rows * count + i / rows] = static_cast<double>(values[i]);
  }
  double sum = 0;
  for (size_t query = 0; query < kQueries; ++query) {
    std::vector<std::vector<double>> ranks;
    for (const std::vector<double>& side : losses) {
      std::vector<double> scores;
      for (size_t row = 0; row < rows; ++row) {
        scores.push_back(-Covariance(&side[row * count], &side[query * count], count));
      }
      ranks.push_back(Ranks(scores));
    }
    sum += Covariance(ranks[0].data(), ranks[1].data(), rows) /
           Covariance(ranks[0].data(), ranks[0].data(), rows);
  }
  return sum / kQueries;
}

int Main(const std::string& program) {
  testing::TestEngine(/*threads=*/0);  // one a core
  const auto model = testing::LoadLanguageModel(program);
  const MovingSet moving = ValueOrDie(SelectParameters(model->info().parameters, {}));
  const SampleBatch even = testing::RandomSequences(128, 128, 128, kVocabulary);
  const SampleBatch uneven = testing::RandomSequences(256, 8, 150, kVocabulary);
  Rows trace(*model, moving, ComputeType::kFp32, even);
  Rows mixed(*model, moving, ComputeType::kFp32, uneven);
  Rows mixed_bf16(*model, moving, ComputeType::kBf16, uneven);

  const std::vector<float> delta(static_cast<size_t>(moving.elements), 1e-4f);
  const std::vector<absl::Span<const float>> draws(kChains, delta);
  const auto chain = ValueOrDie(model->StartChains(Settings(ComputeType::kFp32), moving, trace.plan,
                                                   *trace.resident, 0, 1, {}));
  const std::map<std::string, std::function<void()>> work = {
      {"trace", [&] { trace.Trace(*model, moving, draws); }},
      {"mixed", [&] { mixed.Trace(*model, moving, draws); }},
      {"mixed_bf16", [&] { mixed_bf16.Trace(*model, moving, draws); }},
      {"step", [&] { OkOrDie(chain->Advance(1).status()); }}};

  const std::string& bf16_reason = mixed_bf16.plan.compute_reason;
  std::cout << nlohmann::json{{"draws", kChains},
                              {"batch", 32},
                              {"trace", Lengths(*trace.resident, trace.count)},
                              {"mixed", Lengths(*mixed.resident, mixed.count)},
                              {"bf16_reason", bf16_reason},
                              {"bf16_rank_correlation",
                               bf16_reason.empty()
                                   ? RankCorrelation(*model, moving, mixed, mixed_bf16)
                                   : 1.0}}
                   .dump()
            << std::endl;
  for (std::string name; std::getline(std::cin, name);) {
    const auto found = work.find(name);
    if (found == work.end()) return 1;
    const absl::Time start = absl::Now();
    found->second();
    std::cout << absl::ToDoubleSeconds(absl::Now() - start) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace bif::engine

int main(int argc, char** argv) { return bif::engine::Main(argc > 1 ? argv[1] : "llama_260k"); }
