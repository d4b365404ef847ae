// The seam between everything that runs a model and everything that does not. No LibTorch type
// appears here: the real engine is src/engine/torch/, and tests/support/fake_engine.h has
// closed-form losses.
//
// An Engine stands for one device. Inspect* may be called from any thread. Models, and all that
// comes from them, are confined to the device's executor thread (src/jobs/device_executor.h).
//
// Failure: every call that may fail gives a status and leaves the object usable, unless its comment
// says otherwise. What a user's file gets wrong is INVALID_ARGUMENT and names the node, parameter
// or offset; device memory is RESOURCE_EXHAUSTED; the rest INTERNAL with operator and shapes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"
#include "src/engine/sampler_settings.h"

namespace bif::engine {

// The numbers are stored on disk and equal those of bif.v1.
enum class LossKind : uint8_t {
  kCrossEntropy = 1,
  kSquaredError = 2,
  kProgramLosses = 3,
  kNextToken = 4,  // logits [batch, tokens, vocabulary]; the loss of token p comes from row p - 1
};

// How a sequence's loss comes from those of its tokens. Masked and padded tokens count in neither.
enum class TokenReduction : uint8_t { kMean = 1, kSum = 2 };

// With kNextToken.
struct SequenceSpec {
  TokenReduction reduction = TokenReduction::kMean;
  std::string
      mask_column;         // as long as the tokens; a token counts where it is not 0. Empty: all do
  int64_t max_tokens = 0;  // longer sequences are cut to so many; 0: never
  friend bool operator==(const SequenceSpec&, const SequenceSpec&) = default;
};

// One user input of the program: value = column * scale[channel] + shift[channel] as fp32, channel
// being the sample's first dimension. Empty scale and shift pass the column through (integers stay
// integers).
struct InputBinding {
  std::string input;
  std::string column;
  std::vector<float> scale;
  std::vector<float> shift;
};

// A program as its user describes it: the file, what its inputs are, and which loss it stands for.
struct ProgramSource {
  std::string path;  // a .pt2 archive
  LossKind loss = LossKind::kCrossEntropy;
  std::string target_column;  // labels, targets or tokens; unused with kProgramLosses
  std::vector<InputBinding> inputs;
  SequenceSpec sequence;
};

// Where weights come from: safetensors files by path, or, if there are none, the program's own
// archive.
struct WeightsSource {
  std::vector<std::string> safetensors_paths;
};

struct ParameterInfo {
  std::string name;
  std::vector<int64_t> shape;
  int64_t elements = 0;
};

// What reading a program tells without running it.
struct ProgramInfo {
  std::vector<TensorSpec> columns;  // what a dataset must have; a dimension of -1 takes any size;
                                    // dtype kUnspecified takes any that can be converted
  std::vector<ParameterInfo> parameters;  // trainable ones, in the program's order
  int64_t classes = 0;     // size of the logits' last dimension; 0 if there are no logits
  bool sequences = false;  // the loss is one of tokens: kTokenLosses and positions mean something
  int64_t longest_sequence = 0;  // tokens that the program can take, after truncation; 0: any
  int64_t nodes = 0;
};

// The positions of the parameters that move, in the flat vector of all trainable parameters.
struct MovingRange {
  int64_t parameter = 0;  // index into ProgramInfo::parameters
  int64_t begin = 0;      // position of its first element in a delta vector
  int64_t elements = 0;
};
struct MovingSet {
  std::vector<MovingRange> ranges;
  int64_t elements = 0;  // length of a delta vector
};

// Applies a filter. Fails with a field error (path "parameters.include[i]", "parameters.presets[i]"
// or "parameters") if a glob of `include` or a preset matches nothing, if there is no such preset,
// or if nothing is left to move.
absl::StatusOr<MovingSet> SelectParameters(const std::vector<ParameterInfo>& parameters,
                                           const ParameterFilter& filter);

// What is recorded of a sample at a draw. The numbers are stored on disk and equal those of bif.v1.
enum class ObservableKind : uint8_t {
  kLoss = 1,
  kCorrectProbability = 2,
  kMargin = 3,
  kLogit = 4,
  kLogitDifference = 5,   // logit_index minus other_logit_index
  kSpanLoss = 6,          // of the tokens [span_begin, span_end), reduced as SequenceSpec says
  kTokenProbability = 7,  // of the token at `position`
  // Not in the API: the losses of all tokens from position 1 on, ResidentRows::token_losses(row)
  // numbers a row. A masked token's is exactly 0.
  kTokenLosses = 100,
};
// Positions count a sequence's tokens from 0. The token at 0 is predicted by nothing.
struct Observable {
  ObservableKind kind = ObservableKind::kLoss;
  uint32_t logit_index = 0;        // with kLogit and kLogitDifference
  uint32_t other_logit_index = 0;  // with kLogitDifference
  uint32_t span_begin = 0;         // with kSpanLoss
  uint32_t span_end = 0;           // with kSpanLoss; 0: the end
  uint32_t position = 0;  // with kTokenProbability, and with logits of sequences: the token that
                          // they predict
  friend bool operator==(const Observable&, const Observable&) = default;
};

// Choices that were timed on the real program. They change rounding, so a resumed run must use
// those of its start.
struct ExecutionPlan {
  bool batched_chains = false;     // gradients of all chains in one batched call, or one by one
  int64_t trace_batch_rows = 256;  // rows a forward call when traces are evaluated; of sequences,
                                   // rows that are sorted by length and cut into calls together
  int64_t trace_batch_tokens = 4096;  // of sequences: tokens a forward call, with padding
  int64_t step_batch_rows = 0;   // rows a forward and backward call; 0: the whole batch at once
  bool plain_attention = false;  // batched products instead of the fused kernel
  ComputeType compute = ComputeType::kFp32;
  std::string compute_reason;  // why that is not what the settings ask for; else empty
  std::string ToString() const;
  friend bool operator==(const ExecutionPlan&, const ExecutionPlan&) = default;
};

// Rows of a dataset on the device, with columns bound and targets checked.
class ResidentRows {
 public:
  virtual ~ResidentRows() = default;
  virtual int64_t rows() const = 0;
  // Numbers that kTokenLosses gives for a row: its tokens, after truncation, less one. 0 where rows
  // are no sequences.
  virtual int64_t token_losses(int64_t row) const = 0;
};

// Everything that a chain needs to go on bit-identically: randomness is counter based, so no
// generator state. A delta is w - w*, of the moving elements only, exact in fp32.
struct ChainSnapshot {
  uint32_t chain = 0;
  uint64_t step = 0;                  // steps done
  std::vector<float> weights;         // w, not the delta: (w* + (w - w*)) would round
  std::vector<float> second_moments;  // v of RMSprop-SGLD; empty with SGLD
};

// What steps did to one chain.
struct ChainReport {
  uint32_t chain = 0;
  double mean_loss = 0;   // mean over the steps taken of the batch's mean loss; 0 if none was taken
  bool diverged = false;  // now or earlier; such a chain no longer moves
  std::string reason;     // why it diverged
};

// The chains of one posterior on this device.
class ChainGroup {
 public:
  virtual ~ChainGroup() = default;
  virtual uint64_t step() const = 0;  // steps done by every chain that has not diverged
  // Advances each chain by `steps` steps. One report a chain, in order of Start's list. A chain
  // whose loss is not finite, whose weights are not, or which left the basin of w* (the rule:
  // src/engine/torch/basin.h) is reported as diverged and stands still from then on; that is not an
  // error, and the other chains do not notice.
  virtual absl::StatusOr<std::vector<ChainReport>> Advance(uint64_t steps) = 0;
  // The current w - w* of the moving elements. `position` counts chains of this group.
  virtual absl::Status ReadDelta(size_t position, absl::Span<float> delta) = 0;
  virtual absl::StatusOr<ChainSnapshot> Snapshot(size_t position) = 0;
};

// How derivatives along a tangent are computed. The numbers are stored on disk and equal those of
// bif.v1.
enum class DerivativeMethod : uint8_t {
  kExact = 1,  // double backward for Hessian products, forward mode for slopes
  kDifferences =
      2,  // central differences of double-precision passes, where an operator has neither
};

// Found by trying it on the real program (Model::CheckTangents). Recorded, since it changes
// rounding.
struct TangentPlan {
  DerivativeMethod hessian = DerivativeMethod::kExact;
  DerivativeMethod slopes = DerivativeMethod::kExact;
  bool plain_attention = false;  // the fused kernel has no second derivatives on this device
  std::string reason;            // why not kExact, or what could not be checked; else empty
  friend bool operator==(const TangentPlan&, const TangentPlan&) = default;
};

// What steps did to the tangents of one stretch.
struct TangentReport {
  bool diverged = false;      // the chain or a tangent; neither moves any more
  std::string reason;         // why
  int64_t query = -1;         // whose tangent diverged; -1: none, or the chain itself
  std::vector<double> norms;  // |v| of each query, Euclidean
};

// A stretch of one chain, replayed with noise and batches as they were, and with it the tangents
//   v = d w_t / d delta     where the weight of each query's observable phi is raised by delta:
//   v_{t+1} = v_t - eps/2 (nbeta H_B(w_t) v_t + (lambda + gamma) v_t + grad phi(w_t)),
// all elements at w_t, H_B the Hessian of the batch's mean loss. With RMSprop-SGLD the drift is
// scaled by the preconditioner G of that step, which is held fixed: its own derivative is left out.
// Elements that the box clamps at this step have a tangent of 0 there. v_0 = 0.
class TangentStretch {
 public:
  virtual ~TangentStretch() = default;
  virtual uint64_t step() const = 0;  // of the chain
  virtual int64_t queries() const = 0;
  // A chain that leaves the basin, or a tangent that grows without bound (negative curvature
  // stronger than gamma), is reported; that is not an error.
  virtual absl::StatusOr<TangentReport> Advance(uint64_t steps) = 0;
  // slopes[q * row_count + r] = grad l_r(w_t) . v_q, the derivative of the loss of row
  // first_row + r. Its mean over steps estimates -Cov(l_r, phi_q): the BIF.
  virtual absl::Status Slopes(const ResidentRows& rows, int64_t first_row, int64_t row_count,
                              absl::Span<float> slopes) = 0;
  // The current w - w* of the moving elements, to be compared with the stored draw.
  virtual absl::Status ReadDelta(absl::Span<float> delta) = 0;
  // The tangents, [queries, moving.elements], to begin another stretch nearer to its end.
  virtual absl::Status ReadTangents(absl::Span<float> tangents) = 0;
};

// A program with its weights on the device. w* never changes.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ProgramInfo& info() const = 0;

  // Copies rows to the device. A label out of range is INVALID_ARGUMENT and says which row of the
  // batch.
  virtual absl::StatusOr<std::unique_ptr<ResidentRows>> Upload(const SampleBatch& batch) = 0;

  // Chains [first_chain, first_chain + count) of a run, at w*, or where `snapshots` (empty, or one
  // a chain) left them. `train` must outlive the group. Batches are drawn from all rows of `train`.
  virtual absl::StatusOr<std::unique_ptr<ChainGroup>> StartChains(
      const SamplerSettings& settings, const MovingSet& moving, const ExecutionPlan& plan,
      const ResidentRows& train, uint32_t first_chain, uint32_t count,
      const std::vector<ChainSnapshot>& snapshots) = 0;

  // Times the alternatives on the real program, for about a second.
  virtual absl::StatusOr<ExecutionPlan> Tune(const SamplerSettings& settings,
                                             const MovingSet& moving,
                                             const ResidentRows& train) = 0;

  // values[d * row_count + r] = the observable of row first_row + r at w* + deltas[d]. With
  // kTokenLosses a row gives token_losses(row) numbers, one row after the other.
  // Each delta has moving.elements numbers; an empty one stands for w*. Several deltas may be
  // evaluated in one batched call.
  virtual absl::Status Observe(const MovingSet& moving,
                               absl::Span<const absl::Span<const float>> deltas,
                               const ResidentRows& rows, int64_t first_row, int64_t row_count,
                               const Observable& observable, const ExecutionPlan& plan,
                               absl::Span<float> values) = 0;

  // Tries second derivatives on a few training rows at w*, compares them with differences in
  // double, and says how to go on. UNIMPLEMENTED with the operator and what to do if nothing works.
  virtual absl::StatusOr<TangentPlan> CheckTangents(const MovingSet& moving,
                                                    const ExecutionPlan& plan,
                                                    const ResidentRows& train) = 0;

  // The chain `from.chain` of a run from `from.step` on, with one tangent a row of `queries`.
  // `tangents` (empty: zeros, or [queries, moving.elements]) are v at `from.step`. `train` and
  // `queries` must outlive the stretch. The observable is one that Observe takes, but for
  // kTokenLosses.
  virtual absl::StatusOr<std::unique_ptr<TangentStretch>> StartTangents(
      const SamplerSettings& settings, const MovingSet& moving, const ExecutionPlan& plan,
      const TangentPlan& tangent_plan, const ResidentRows& train, const ChainSnapshot& from,
      const ResidentRows& queries, const Observable& observable,
      absl::Span<const float> tangents) = 0;
};

struct EngineInfo {
  std::string device;  // "cpu" or "cuda:0"
  std::string
      numerics;  // what bit-identity depends on: version, device class, instruction set, threads
  int threads = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineInfo& info() const = 0;
  // Reads and checks a program; nothing runs and nothing is unpickled.
  virtual absl::StatusOr<ProgramInfo> InspectProgram(const ProgramSource& source) = 0;
  // Checks that the weights fit the program: names, shapes, dtypes, finite values. Returns the
  // SHA-256 over names and values.
  virtual absl::StatusOr<std::string> InspectWeights(const ProgramSource& program,
                                                     const WeightsSource& weights) = 0;
  virtual absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ProgramSource& program,
                                                           const WeightsSource& weights) = 0;
  // An upper bound of the device memory that a run needs.
  virtual int64_t EstimateDeviceBytes(const ProgramInfo& info, const MovingSet& moving,
                                      const SamplerSettings& settings,
                                      int64_t train_rows) const = 0;
};

struct EngineOptions {
  std::string device = "cpu";
  int threads = 0;  // 0: one a core
};

// The LibTorch engine (src/engine/torch). Fails with INVALID_ARGUMENT for a device that this
// LibTorch does not have.
absl::StatusOr<std::unique_ptr<Engine>> MakeTorchEngine(const EngineOptions& options);

}  // namespace bif::engine
