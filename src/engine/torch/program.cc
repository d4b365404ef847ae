#include "src/engine/torch/program.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/program_file.h"
#include "src/engine/program_file/program_layout.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/compile.h"
#include "src/engine/torch/double_code.h"
#include "src/engine/torch/graph_dtypes.h"
#include "src/engine/torch/interpreter.h"
#include "src/engine/torch/weights.h"

namespace bif::engine {

struct Program::State {
  State(ProgramFile opened, c10::Device where) : file(std::move(opened)), device(where) {}

  const ProgramFile file;  // `layout` points into it
  const c10::Device device;
  ProgramLayout layout;
  std::vector<ProgramInput> inputs;
  Code code;

  // Where things go in a frame.
  std::vector<std::vector<Slot>> parameter_slots;  // tied parameters have several
  std::vector<Slot> input_slots;
  std::vector<Slot> other_slots;
  std::vector<c10::IValue>
      frame;  // buffers, constants and frozen parameters in place, the rest empty

  // The same in double; made when it is first asked for. Confined to the caller's thread.
  std::optional<Code> double_code;
  std::vector<c10::IValue> double_frame;
};

namespace {

Slot SlotOf(const ProgramFile& file, const Code& code, const std::string& value) {
  for (size_t i = 0; i < file.signature.inputs.size(); ++i) {
    if (file.signature.inputs[i].value == value) return code.inputs[i];
  }
  return kNoSlot;
}

bool InDouble(absl::Span<const at::Tensor> parameters) {
  return !parameters.empty() && parameters[0].scalar_type() == at::kDouble;
}

absl::Status WrongInput(const ProgramInput& input, const at::Tensor& given) {
  return absl::InternalError(absl::StrCat("the input '", input.name, "' got a tensor of dtype ",
                                          at::toString(given.scalar_type()), " and ", given.dim(),
                                          " dimensions"));
}

}  // namespace

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}
Program::~Program() = default;

absl::StatusOr<std::unique_ptr<Program>> Program::Load(const ProgramSource& source,
                                                       c10::Device device) {
  BIF_ASSIGN_OR_RETURN(ProgramFile file, OpenProgramFile(source.path));
  auto state = std::make_unique<State>(std::move(file), device);
  BIF_ASSIGN_OR_RETURN(state->layout, LayOut(state->file, source));
  const ProgramLayout& layout = state->layout;
  BIF_ASSIGN_OR_RETURN(state->code, CatchTorch("preparing the program", [&] {
                         return CompileGraph(state->file.graph, state->file.signature, device);
                       }));

  for (const BoundInput& input : layout.inputs) {
    state->inputs.push_back(
        {input.name, *ToScalarType(input.dtype), input.shape, input.is_sequence});
    state->input_slots.push_back(SlotOf(state->file, state->code, input.value));
  }
  for (const HeldTensor& parameter : layout.parameters) {
    std::vector<Slot>& slots = state->parameter_slots.emplace_back();
    for (const std::string& value : parameter.values)
      slots.push_back(SlotOf(state->file, state->code, value));
  }
  for (const HeldTensor& other : layout.others) {
    state->other_slots.push_back(SlotOf(state->file, state->code, other.values[0]));
  }
  state->frame.resize(state->code.slots);
  return std::unique_ptr<Program>(new Program(std::move(state)));
}

const ProgramInfo& Program::info() const { return state_->layout.info; }

const std::vector<ProgramInput>& Program::inputs() const { return state_->inputs; }

bool Program::attends() const { return state_->code.attends; }

const SequenceLimits& Program::sequence_limits() const { return state_->layout.sequence_limits; }

absl::StatusOr<std::vector<at::Tensor>> Program::LoadWeights(const WeightsSource& source) {
  const ProgramLayout& layout = state_->layout;
  BIF_ASSIGN_OR_RETURN(const WeightReader reader, WeightReader::Open(layout, source));
  return CatchTorch("loading weights", [&]() -> absl::StatusOr<std::vector<at::Tensor>> {
    std::vector<at::Tensor> parameters;
    for (const HeldTensor& held : layout.parameters) {
      BIF_ASSIGN_OR_RETURN(const at::Tensor tensor, reader.Read(held));
      parameters.push_back(tensor.to(state_->device));
    }
    std::vector<c10::IValue> frame(state_->code.slots);
    for (size_t i = 0; i < layout.others.size(); ++i) {
      if (!layout.others[i].used) continue;
      BIF_ASSIGN_OR_RETURN(const at::Tensor tensor, reader.Read(layout.others[i]));
      frame[static_cast<size_t>(state_->other_slots[i])] = tensor.to(state_->device);
    }
    state_->frame = std::move(frame);
    state_->double_code.reset();
    return parameters;
  });
}

absl::StatusOr<std::string> Program::WeightsDigest(const WeightsSource& source) const {
  BIF_ASSIGN_OR_RETURN(const WeightReader reader, WeightReader::Open(state_->layout, source));
  return DigestWeights(state_->layout, reader);
}

absl::StatusOr<const Code*> Program::CodeFor(absl::Span<const at::Tensor> parameters) const {
  if (!InDouble(parameters)) return &state_->code;
  if (!state_->double_code) {
    BIF_RETURN_IF_ERROR(CatchTorch("preparing the program in double", [&]() -> absl::Status {
      BIF_ASSIGN_OR_RETURN(Code code, CodeInDouble(state_->code));
      state_->double_frame = FrameInDouble(state_->frame);
      state_->double_code = std::move(code);
      return absl::OkStatus();
    }));
  }
  return &*state_->double_code;
}

absl::StatusOr<std::vector<c10::IValue>> Program::Frame(absl::Span<const at::Tensor> parameters,
                                                        absl::Span<const at::Tensor> inputs) const {
  if (parameters.size() != state_->parameter_slots.size() ||
      inputs.size() != state_->input_slots.size()) {
    return absl::InternalError(absl::StrCat(
        "the program has ", state_->parameter_slots.size(), " parameters and ",
        state_->input_slots.size(), " inputs; it got ", parameters.size(), " and ", inputs.size()));
  }
  const bool in_double = InDouble(parameters);
  std::vector<c10::IValue> frame = in_double ? state_->double_frame : state_->frame;
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (const Slot slot : state_->parameter_slots[i])
      frame[static_cast<size_t>(slot)] = parameters[i];
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ProgramInput& wanted = state_->inputs[i];
    if (inputs[i].scalar_type() != wanted.dtype ||
        inputs[i].dim() != static_cast<int64_t>(wanted.shape.size()) + 1) {
      return WrongInput(wanted, inputs[i]);
    }
    frame[static_cast<size_t>(state_->input_slots[i])] =
        in_double && inputs[i].scalar_type() == at::kFloat ? inputs[i].to(at::kDouble) : inputs[i];
  }
  return frame;
}

absl::StatusOr<at::Tensor> Program::Run(absl::Span<const at::Tensor> parameters,
                                        absl::Span<const at::Tensor> inputs) const {
  BIF_ASSIGN_OR_RETURN(const Code* code, CodeFor(parameters));
  BIF_ASSIGN_OR_RETURN(std::vector<c10::IValue> frame, Frame(parameters, inputs));
  return RunCode(*code, std::move(frame));
}

absl::StatusOr<LinearHead> Program::RunToHead(absl::Span<const at::Tensor> parameters,
                                              absl::Span<const at::Tensor> inputs) const {
  BIF_ASSIGN_OR_RETURN(const Code* code, CodeFor(parameters));
  BIF_ASSIGN_OR_RETURN(std::vector<c10::IValue> frame, Frame(parameters, inputs));
  return RunCodeToHead(*code, std::move(frame));
}

}  // namespace bif::engine
