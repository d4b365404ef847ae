// The LibTorch engine: MakeTorchEngine of engine.h.
#include "src/engine/engine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "src/base/status.h"
#include "src/engine/torch/device.h"
#include "src/engine/torch/model.h"
#include "src/engine/torch/program.h"

namespace bif::engine {
namespace {

int64_t ParameterElements(const ProgramInfo& info) {
  int64_t elements = 0;
  for (const ParameterInfo& parameter : info.parameters) elements += parameter.elements;
  return elements;
}

int64_t LongestRow(const ProgramInfo& program) {
  constexpr int64_t kUnknown = 1024;
  return program.longest_sequence > 0 ? program.longest_sequence : kUnknown;
}

// What a call of a language model takes beyond weights and rows: each node keeps an output as wide
// as the widest layer, and as much for its gradient; and some tokens' logits.
int64_t SequenceCallBytes(const ProgramInfo& program) {
  constexpr int64_t kFloat = sizeof(float);
  constexpr int64_t kMostCallTokens = 8192, kLogitTokens = 3 * 128;
  int64_t widest = 1;
  for (const ParameterInfo& parameter : program.parameters) {
    if (parameter.shape.size() > 1) widest = std::max(widest, parameter.shape[1]);
  }
  const int64_t tokens = std::max(LongestRow(program), kMostCallTokens);
  return kFloat * (2 * program.nodes * widest * tokens + kLogitTokens * program.classes);
}

// Stored bytes and fp32 elements of one sample. A dimension of any size counts as the longest
// sequence, or as 1024.
struct SampleSize {
  int64_t bytes = 0, elements = 0;
};
SampleSize SizeOfSample(const ProgramInfo& info) {
  SampleSize size;
  for (const TensorSpec& column : info.columns) {
    int64_t elements = 1;
    for (int64_t dimension : column.shape) elements *= dimension < 0 ? LongestRow(info) : dimension;
    size.elements += elements;
    size.bytes += elements * static_cast<int64_t>(std::max<size_t>(SizeOf(column.dtype), 4));
  }
  return size;
}

class TorchEngine final : public Engine {
 public:
  explicit TorchEngine(OpenedDevice opened) : opened_(std::move(opened)) {}

  const EngineInfo& info() const override { return opened_.info; }

  absl::StatusOr<ProgramInfo> InspectProgram(const ProgramSource& source) override {
    BIF_ASSIGN_OR_RETURN(const auto program, Program::Load(source, c10::Device(c10::kCPU)));
    return program->info();
  }

  absl::StatusOr<std::string> InspectWeights(const ProgramSource& source,
                                             const WeightsSource& weights) override {
    BIF_ASSIGN_OR_RETURN(const auto program, Program::Load(source, c10::Device(c10::kCPU)));
    return program->WeightsDigest(weights);
  }

  absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ProgramSource& source,
                                                   const WeightsSource& weights) override {
    at::init_num_threads();  // OpenMP counts threads for each calling thread: this one is the
                             // executor's
    LoadedProgram loaded;
    loaded.source = source;
    loaded.device = opened_.device;
    BIF_ASSIGN_OR_RETURN(loaded.program, Program::Load(source, opened_.device));
    BIF_ASSIGN_OR_RETURN(loaded.anchor, loaded.program->LoadWeights(weights));
    return MakeTorchModel(std::move(loaded));
  }

  // Weights and rows are exact. Activations are bounded by a rule of thumb, since nothing has run:
  // each node keeps at most eight times the elements of a sample (or of the widest parameter) for
  // the backward pass.
  int64_t EstimateDeviceBytes(const ProgramInfo& program, const MovingSet& moving,
                              const SamplerSettings& settings, int64_t train_rows) const override {
    constexpr int64_t kFloat = sizeof(float);
    const SampleSize sample = SizeOfSample(program);
    int64_t widest = sample.elements;
    for (const ParameterInfo& parameter : program.parameters) {
      if (!parameter.shape.empty()) widest = std::max(widest, parameter.shape[0]);
    }
    const int64_t chains = settings.chains;
    const int64_t a_chain =
        settings.algorithm == Algorithm::kRmspropSgld ? 3 : 2;  // weights, gradient, second moments
    const int64_t weights =
        kFloat * (ParameterElements(program) + moving.elements * (1 + a_chain * chains));
    const int64_t rows = train_rows * sample.bytes;
    if (program.sequences) return weights + rows + SequenceCallBytes(program);
    const int64_t a_row = 8 * kFloat * widest;
    const int64_t backward =
        program.nodes * a_row * std::min<int64_t>(settings.batch_size, train_rows);
    const int64_t forward = 4 * a_row * std::min<int64_t>(4096, train_rows);
    return weights + rows + std::max(backward, forward);
  }

 private:
  const OpenedDevice opened_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> MakeTorchEngine(const EngineOptions& options) {
  BIF_ASSIGN_OR_RETURN(OpenedDevice opened, OpenDevice(options));
  return std::make_unique<TorchEngine>(std::move(opened));
}

}  // namespace bif::engine
