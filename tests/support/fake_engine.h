// An engine without LibTorch: linear models with losses in closed form, sampled with the real
// sampler kernels, noise and batch orders. Instant and deterministic, so that jobs and server are
// tested in milliseconds.
//
// A sample has a column "features" (float32[d]) and a column "target":
//   kSquaredError   float32[], loss 0.5 (a.w - y)^2, so the local posterior is Gaussian;
//   kCrossEntropy   int64[], softmax regression over `classes` classes; w is [classes, d], row
//   major;
// with kNextToken it has a column "tokens" (int32[-1]) instead, and each token is predicted from
// the one before by the softmax regression over `classes` tokens (FakeTokenFeature in
// fake_model.h). The parameters are "front" (the first half of w, rounded up) and "back" (the
// rest).
//
// Observables: kLoss; kLogit (of squared error: the prediction, index 0) and kLogitDifference;
// kCorrectProbability and kMargin of cross-entropy; all of sequences. Sums run in double, row by
// row, so values depend neither on batches nor on chunks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/engine/engine.h"

namespace bif::testing {

// A function that one thread may set while another calls it. Calling one that is not set gives
// Result().
template <typename Signature>
class Hook;
template <typename Result, typename... Arguments>
class Hook<Result(Arguments...)> {
 public:
  void operator=(std::function<Result(Arguments...)> function) {
    absl::MutexLock lock(&mutex_);
    function_ = std::move(function);
  }
  Result operator()(Arguments... arguments) const {
    const auto function = [this] {
      absl::MutexLock lock(&mutex_);
      return function_;
    }();
    return function ? function(arguments...) : Result();
  }

 private:
  mutable absl::Mutex mutex_;
  std::function<Result(Arguments...)> function_ ABSL_GUARDED_BY(mutex_);
};

// What tests may look at and interfere with. Functions are called on the thread that calls the
// engine. A function may block: that stops the device.
struct FakeEngineHooks {
  std::atomic<int64_t> models_loaded{0};
  std::atomic<int64_t> advance_calls{0};
  std::atomic<int64_t> observe_calls{0};
  std::atomic<int64_t> observed_rows{0};  // rows times deltas
  std::atomic<int64_t> observed_values{0};

  Hook<absl::Status(int64_t call)> on_load;               // before the n-th LoadModel (from 1)
  Hook<absl::Status(int64_t call)> on_observe;            // before the n-th Observe
  Hook<absl::Status(int64_t call)> on_advance;            // before the n-th Advance
  Hook<bool(uint32_t chain, uint64_t step)> loss_is_nan;  // of a chain's batch at a step (from 0)
  int64_t device_bytes = 1 << 20;                         // what EstimateDeviceBytes says
  bool batched_chains = true;                             // what Tune chooses

  std::atomic<int64_t> tangent_checks{0};
  std::atomic<int64_t> tangent_steps{0};              // times queries
  std::atomic<int64_t> slopes_taken{0};               // rows times queries
  engine::TangentPlan tangent_plan;                   // what CheckTangents says
  Hook<absl::Status()> on_check_tangents;             // before CheckTangents
  Hook<absl::Status(int64_t steps)> on_tangent_step;  // before a step, with all that were taken
  // Whether the tangent of the query with this target (or label, or second token) grows without
  // bound at a step (from 0).
  Hook<bool(uint32_t chain, uint64_t step, double target)> tangent_diverges;
};

class FakeEngine : public engine::Engine {
 public:
  FakeEngine();

  FakeEngineHooks& hooks() { return *hooks_; }

  const engine::EngineInfo& info() const override { return info_; }
  absl::StatusOr<engine::ProgramInfo> InspectProgram(const engine::ProgramSource& source) override;
  absl::StatusOr<std::string> InspectWeights(const engine::ProgramSource& program,
                                             const engine::WeightsSource& weights) override;
  absl::StatusOr<std::unique_ptr<engine::Model>> LoadModel(
      const engine::ProgramSource& program, const engine::WeightsSource& weights) override;
  int64_t EstimateDeviceBytes(const engine::ProgramInfo& info, const engine::MovingSet& moving,
                              const engine::SamplerSettings& settings,
                              int64_t train_rows) const override;

 private:
  engine::EngineInfo info_;
  std::shared_ptr<FakeEngineHooks> hooks_;
};

// The text of a program file with `weights` in its archive; `classes` 0: squared error.
std::string FakeProgramFile(int64_t features, int64_t classes, const std::vector<float>& weights);
// A safetensors file of weights.
std::string FakeWeightsFile(const std::vector<float>& weights);
// The program of a FakeProgramFile at `path`, as its user would describe it.
engine::ProgramSource FakeProgram(const std::string& path,
                                  engine::LossKind loss = engine::LossKind::kSquaredError);

// Rows for the fake's columns. `features` is row major; one target a row.
SampleBatch FakeRows(const std::vector<float>& features, const std::vector<float>& targets);
SampleBatch FakeLabelledRows(const std::vector<float>& features,
                             const std::vector<int64_t>& labels);
// Sequences, as a column of one length or of any.
SampleBatch FakeSequences(const std::vector<std::vector<int32_t>>& sequences);

}  // namespace bif::testing
