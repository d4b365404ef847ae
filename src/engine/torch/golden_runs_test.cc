// Whole sampling runs on a small Llama against other implementations: twenty steps in double
// precision with the same batches and noise (tests/golden/llama_sampling.json), and runs of
// devinterp from their seeds alone (tests/golden/devinterp_runs.json).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/engine/torch/chains.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using nlohmann::json;
using testing::ProgramPath;
using testing::ValueOrDie;
using Numbers = std::vector<double>;

json Golden(const std::string& name) {
  return json::parse(std::ifstream(std::string(BIF_GOLDEN) + "/" + name));
}

void ExpectClose(const Numbers& got, const Numbers& wanted, const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], wanted[i], 1e-5 * std::max(1.0, std::abs(wanted[i]))) << what << " " << i;
}

Numbers EveryNth(const std::vector<float>& values, size_t n) {
  Numbers picked;
  for (size_t i = 0; i < values.size(); i += n) picked.push_back(values[i]);
  return picked;
}

std::vector<std::vector<int32_t>> Cut(const std::vector<int32_t>& tokens,
                                      const std::vector<int32_t>& lengths) {
  std::vector<std::vector<int32_t>> rows;
  auto next = tokens.begin();
  for (const int32_t length : lengths) {
    rows.emplace_back(next, next + length);
    next += length;
  }
  return rows;
}

// The small Llama with rows to sample on.
struct Llama {
  Llama(TokenReduction reduction, const std::vector<std::vector<int32_t>>& tokens) {
    model.source = {.path = ProgramPath("small_llama.pt2"),
                    .loss = LossKind::kNextToken,
                    .target_column = "tokens",
                    .inputs = {{.input = "tokens", .column = "tokens"}},
                    .sequence = {.reduction = reduction}};
    model.program = ValueOrDie(Program::Load(model.source, at::kCPU));
    model.anchor = ValueOrDie(model.program->LoadWeights({}));
    rows = ValueOrDie(
        TorchRows::Upload(model.source, *model.program, testing::TokenBatch(tokens), at::kCPU));
  }
  MovingSet Moving(const ParameterFilter& filter = {}) const {
    return ValueOrDie(SelectParameters(model.program->info().parameters, filter));
  }

  LoadedProgram model;
  std::unique_ptr<TorchRows> rows;
};

std::vector<float> Weights(ChainGroup& chains, size_t position) {
  return ValueOrDie(chains.Snapshot(position)).weights;
}

Algorithm AlgorithmOf(const std::string& run) {
  return run.rfind("rmsprop", 0) == 0 ? Algorithm::kRmspropSgld : Algorithm::kSgld;
}

// --- Twenty steps in double precision --------------------------------------------------------

template <typename T>
std::vector<T> Tensor(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsTensor* tensor = file.Find(name);
  EXPECT_NE(tensor, nullptr) << name;
  std::vector<T> values(static_cast<size_t>(tensor->elements));
  std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  return values;
}

class ReplayedRun : public ::testing::TestWithParam<std::string> {};

TEST_P(ReplayedRun, TwentyStepsAreThoseOfDoublePrecision) {
  const json golden = Golden("llama_sampling.json");
  const json& given = golden["settings"];
  const json& run = golden["runs"][GetParam()];
  const auto inputs =
      ValueOrDie(SafetensorsFile::Open(ProgramPath("small_llama_inputs.safetensors")));
  const auto noise = Tensor<float>(inputs, "noise");
  const auto batches = Tensor<int32_t>(inputs, "batches");
  const auto steps = given["steps"].get<size_t>();

  const bool sum = GetParam().find("sum") != std::string::npos;
  const Llama llama(sum ? TokenReduction::kSum : TokenReduction::kMean,
                    Cut(Tensor<int32_t>(inputs, "tokens"), Tensor<int32_t>(inputs, "lengths")));
  const MovingSet moving = llama.Moving();
  ASSERT_EQ(noise.size(), steps * static_cast<size_t>(moving.elements));

  SamplerSettings settings;
  settings.algorithm = AlgorithmOf(GetParam());
  settings.step_size = given["step_size"];
  settings.nbeta = given["nbeta"];
  settings.gamma = given["gamma"];
  settings.weight_decay = given["weight_decay"];
  settings.chains = 1;
  settings.batch_order = BatchOrder::kReplay;
  const size_t batch_rows = batches.size() / steps;
  for (size_t step = 0; step < steps; ++step) {
    const auto first = batches.begin() + static_cast<ptrdiff_t>(step * batch_rows);
    settings.replay_batches.emplace_back(first, first + static_cast<ptrdiff_t>(batch_rows));
  }
  const NoiseOfStep replay = [&](uint64_t step, absl::Span<float> numbers) {
    std::copy_n(noise.begin() + static_cast<ptrdiff_t>(step * numbers.size()), numbers.size(),
                numbers.begin());
  };
  const auto chains = ValueOrDie(StartTorchChains(llama.model, settings, moving, ExecutionPlan{},
                                                  *llama.rows, 0, 1, {}, {replay}));
  Numbers losses;
  for (size_t step = 0; step < steps; ++step)
    losses.push_back(ValueOrDie(chains->Advance(1))[0].mean_loss);
  ExpectClose(losses, run["losses"].get<Numbers>(), "loss");
  ExpectClose(EveryNth(Weights(*chains, 0), given["every"].get<size_t>()),
              run["weights"].get<Numbers>(), "weight");

  std::vector<float> delta(static_cast<size_t>(moving.elements));
  ASSERT_TRUE(chains->ReadDelta(0, absl::MakeSpan(delta)).ok());
  double square = 0;
  for (const float d : delta) square += double{d} * d;
  ExpectClose({std::sqrt(square)}, {run["distance"].get<double>()}, "distance");
}

INSTANTIATE_TEST_SUITE_P(GoldenRuns, ReplayedRun,
                         ::testing::Values("sgld_mean", "sgld_sum", "rmsprop_sgld_mean",
                                           "rmsprop_sgld_sum"),
                         [](const auto& test) { return test.param; });

// --- devinterp -------------------------------------------------------------------------------

class DevinterpRun : public ::testing::TestWithParam<std::string> {
 protected:
  DevinterpRun()
      : run_(golden_["runs"][GetParam()]),
        steps_(golden_["shape"]["steps"].get<size_t>()),
        chains_(golden_["shape"]["chains"].get<uint32_t>()),
        llama_(TokenReduction::kMean,
               Cut(golden_["tokens"].get<std::vector<int32_t>>(),
                   std::vector<int32_t>(golden_["shape"]["rows"].get<size_t>(),
                                        golden_["shape"]["length"].get<int32_t>()))),
        moving_(llama_.Moving({.include = run_["moving"].get<std::vector<std::string>>()})) {
    const json& given = run_["settings"];
    settings_.algorithm = AlgorithmOf(GetParam());
    settings_.random_streams = RandomStreams::kDevinterp;
    settings_.seed = golden_["shape"]["seed"];
    settings_.batch_size = golden_["shape"]["batch"];
    settings_.chains = chains_;
    settings_.step_size = given["lr"];
    settings_.nbeta = given["n_beta"];
    settings_.gamma = given["localization"];
    settings_.weight_decay = given["llc_weight_decay"];
    settings_.noise_scale = given.value("noise_level", 1.0);
    if (given.contains("bounding_box_size"))
      settings_.box = given["bounding_box_size"].get<double>();
  }

  std::unique_ptr<ChainGroup> Start(const std::vector<ChainSnapshot>& snapshots = {},
                                    const ExecutionPlan& plan = {}) {
    return ValueOrDie(StartTorchChains(llama_.model, settings_, moving_, plan, *llama_.rows, 0,
                                       chains_, snapshots));
  }

  const json golden_ = Golden("devinterp_runs.json");
  const json run_;
  const size_t steps_;
  const uint32_t chains_;
  const Llama llama_;
  const MovingSet moving_;
  SamplerSettings settings_;
};

TEST_P(DevinterpRun, IsRepeatedFromItsSeeds) {
  for (const bool batched : {false, true}) {
    ExecutionPlan plan;
    plan.batched_chains = batched;
    const auto chains = Start({}, plan);
    std::vector<Numbers> losses(chains_);
    for (size_t step = 0; step < steps_; ++step) {
      const auto reports = ValueOrDie(chains->Advance(1));
      for (size_t c = 0; c < chains_; ++c) losses[c].push_back(reports[c].mean_loss);
    }
    for (size_t c = 0; c < chains_; ++c) {
      ExpectClose(losses[c], run_["losses"][c].get<Numbers>(), "loss");
      ExpectClose(EveryNth(Weights(*chains, c), golden_["shape"]["every"].get<size_t>()),
                  run_["weights"][c].get<Numbers>(), "weight");
    }
  }
}

TEST_P(DevinterpRun, ResumedGoesOnBitIdentically) {
  const auto whole = Start();
  ASSERT_TRUE(whole->Advance(steps_).ok());
  const auto first = Start();
  ASSERT_TRUE(first->Advance(7).ok());
  std::vector<ChainSnapshot> snapshots;
  for (size_t c = 0; c < chains_; ++c) snapshots.push_back(ValueOrDie(first->Snapshot(c)));
  const auto resumed = Start(snapshots);
  ASSERT_TRUE(resumed->Advance(steps_ - 7).ok());
  for (size_t c = 0; c < chains_; ++c) EXPECT_EQ(Weights(*resumed, c), Weights(*whole, c));
}

INSTANTIATE_TEST_SUITE_P(GoldenRuns, DevinterpRun,
                         ::testing::Values("sgld", "rmsprop_sgld", "attention_in_a_box"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace bif::engine
