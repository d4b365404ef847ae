// A model's computation, read from a torch.export archive (.pt2) and run node by node through
// LibTorch's dispatcher.
//
// Running it on parameters that require gradients records a backward pass; running it with batched
// parameters (functorch vmap, pushed by the caller) runs several chains in one call; under
// at::NoGradGuard nothing is recorded.
//
// Thread-compatible: Run is const and may be called from several threads, LoadWeights may not run
// beside it, nor two first runs in double.
//
// Failure: what the file or the bindings get wrong is INVALID_ARGUMENT and names the node, input or
// offset (bindings carry a field path such as "inputs[0].column"); what a node throws while it runs
// is INTERNAL with the node, its operator and the shapes of its arguments, or RESOURCE_EXHAUSTED.
// No exception leaves.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/engine/engine.h"
#include "src/engine/sequences.h"
#include "src/engine/torch/interpreter.h"

namespace bif::engine {

// What one user input of the graph wants. `shape` is without the batch dimension; -1 takes any
// size.
struct ProgramInput {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  bool is_sequence = false;  // with the loss kNextToken: shape[0] counts tokens
};

class Program {
 public:
  // Reads and checks the archive and the bindings, and prepares the graph for `device`. Tensors are
  // not read: LoadWeights must succeed before Run.
  static absl::StatusOr<std::unique_ptr<Program>> Load(const ProgramSource& source,
                                                       c10::Device device);
  ~Program();

  const ProgramInfo& info() const;

  // In the order of ProgramSource::inputs, which is the order that Run wants.
  const std::vector<ProgramInput>& inputs() const;

  // Whether it has attention whose kernel can be chosen (attention_path.h).
  bool attends() const;

  // With the loss kNextToken: how many tokens a row may have.
  const SequenceLimits& sequence_limits() const;

  // The trainable parameters, in the order of info().parameters: fp32, contiguous, on the device,
  // not requiring gradients. The batch-norm statistics and other buffers of the same source become
  // the program's own, for later calls of Run, and constants come from the archive. On failure the
  // program is as before. A parameter that no node reads is among them: ask for its gradient with
  // allow_unused.
  absl::StatusOr<std::vector<at::Tensor>> LoadWeights(const WeightsSource& source);

  // The checks of LoadWeights without keeping anything: the SHA-256 over names and values, as 64
  // hex characters. It does not depend on where the weights come from: the archive and a
  // safetensors file with the same values give the same.
  absl::StatusOr<std::string> WeightsDigest(const WeightsSource& source) const;

  // Runs the graph and returns its first output. `parameters` as LoadWeights orders them (views are
  // fine), `inputs` as inputs() orders them, [batch, *shape], on the device.
  //
  // If the parameters are double, so is all that the file wants in fp32 (double_code.h): inputs are
  // converted, buffers and constants have been. A program that rounds to a narrower type on its
  // way is UNIMPLEMENTED then, and one that mixes types otherwise may fail.
  absl::StatusOr<at::Tensor> Run(absl::Span<const at::Tensor> parameters,
                                 absl::Span<const at::Tensor> inputs) const;

  // The same, but leaves the linear layer to the caller that a language model ends with: its logits
  // can be too large to hold at once.
  absl::StatusOr<LinearHead> RunToHead(absl::Span<const at::Tensor> parameters,
                                       absl::Span<const at::Tensor> inputs) const;

 private:
  struct State;
  absl::StatusOr<const Code*> CodeFor(absl::Span<const at::Tensor> parameters) const;
  absl::StatusOr<std::vector<c10::IValue>> Frame(absl::Span<const at::Tensor> parameters,
                                                 absl::Span<const at::Tensor> inputs) const;
  explicit Program(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bif::engine
