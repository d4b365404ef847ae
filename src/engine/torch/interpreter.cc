#include "src/engine/torch/interpreter.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"

namespace bif::engine {
namespace {

using c10::IValue;
using Frame = std::vector<IValue>;

const IValue& At(const Frame& frame, Slot slot) { return frame[static_cast<size_t>(slot)]; }

double AsDouble(const IValue& value) {
  return value.isDouble() ? value.toDouble() : value.toScalar().toDouble();
}

IValue Convert(const Fill& fill, const Frame& frame) {
  switch (fill.conversion) {
    case Conversion::kNone:
      return At(frame, fill.slots[0]);
    case Conversion::kToDouble:
      return AsDouble(At(frame, fill.slots[0]));
    case Conversion::kToTensor: {
      const c10::Scalar number = At(frame, fill.slots[0]).toScalar();
      at::Tensor tensor = at::scalar_tensor(number, at::TensorOptions().dtype(number.type()));
      tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
      return tensor;
    }
    case Conversion::kTensorList: {
      c10::List<at::Tensor> list;
      list.reserve(fill.slots.size());
      for (const Slot slot : fill.slots) list.push_back(At(frame, slot).toTensor());
      return list;
    }
    case Conversion::kOptionalTensorList: {
      c10::List<std::optional<at::Tensor>> list;
      list.reserve(fill.slots.size());
      for (const Slot slot : fill.slots) {
        list.push_back(slot == kNoSlot ? std::optional<at::Tensor>() : At(frame, slot).toTensor());
      }
      return list;
    }
    case Conversion::kIntList: {
      c10::List<int64_t> list;
      list.reserve(fill.slots.size());
      for (size_t i = 0; i < fill.slots.size(); ++i) {
        list.push_back(fill.slots[i] == kNoSlot ? fill.literals[i]
                                                : At(frame, fill.slots[i]).toInt());
      }
      return list;
    }
    case Conversion::kDoubleList: {
      c10::List<double> list;
      for (const Slot slot : fill.slots) list.push_back(AsDouble(At(frame, slot)));
      return list;
    }
  }
  return IValue();
}

// "node 'mm' (torch.ops.aten.mm.default) on [8, 3] [4, 2]"
std::string Describe(const Instruction& instruction, const Frame& frame) {
  std::string text = instruction.label;
  const char* separator = " on ";
  for (const Fill& fill : instruction.fills) {
    for (const Slot slot : fill.slots) {
      if (slot == kNoSlot || !At(frame, slot).isTensor()) continue;
      const at::Tensor& tensor = At(frame, slot).toTensor();
      if (!tensor.defined()) continue;
      absl::StrAppend(&text, separator, "[", absl::StrJoin(tensor.sizes(), ", "), "]");
      separator = " ";
    }
  }
  return text;
}

absl::Status StoreResults(const Instruction& instruction, std::vector<IValue>& stack,
                          Frame& frame) {
  if (stack.size() != instruction.results.size())
    return absl::InternalError("another number of results than expected");
  for (size_t i = 0; i < stack.size(); ++i) {
    const std::vector<Slot>& slots = instruction.results[i];
    if (slots.empty()) continue;
    if (!instruction.result_is_list[i]) {
      if (instruction.zero_result) stack[i].toTensor().zero_();
      frame[static_cast<size_t>(slots[0])] = std::move(stack[i]);
      continue;
    }
    const c10::List<at::Tensor> list = stack[i].toTensorList();
    if (list.size() < slots.size()) {
      return absl::InternalError(
          absl::StrCat("it gave ", list.size(), " tensors where ", slots.size(), " are used"));
    }
    for (size_t k = 0; k < slots.size(); ++k)
      frame[static_cast<size_t>(slots[k])] = at::Tensor(list.get(k));
  }
  return absl::OkStatus();
}

absl::Status RunInstruction(const Instruction& instruction, Frame& frame) {
  std::vector<IValue> stack = instruction.arguments;
  for (const Fill& fill : instruction.fills) stack[fill.argument] = Convert(fill, frame);
  if (instruction.kind == Instruction::Kind::kOperator) {
    instruction.op->callBoxed(stack);
    return StoreResults(instruction, stack, frame);
  }
  absl::StatusOr<IValue> number = EvaluateSymbolic(instruction.symbolic, stack);
  if (!number.ok()) return absl::InternalError(number.status().message());
  if (!instruction.results.empty())
    frame[static_cast<size_t>(instruction.results[0][0])] = *std::move(number);
  return absl::OkStatus();
}

// All instructions but the one at `skipped`, whose arguments stay in the frame.
absl::Status RunInstructions(const Code& code, size_t skipped, Frame& frame) {
  const bool caller_grad = at::GradMode::is_enabled();
  const at::AutoGradMode restore_grad(
      caller_grad);  // whatever the program switches ends with the run
  for (size_t i = 0; i < code.instructions.size(); ++i) {
    const Instruction& instruction = code.instructions[i];
    if (i == skipped) continue;
    if (instruction.kind == Instruction::Kind::kSetGrad) {
      at::GradMode::set_enabled(caller_grad && instruction.grad_enabled);
      continue;
    }
    const auto describe = [&] { return Describe(instruction, frame); };
    absl::Status status = CatchTorch(describe, [&] {
      absl::Status done = RunInstruction(instruction, frame);
      return done.ok() ? done : Annotate(done, describe());
    });
    BIF_RETURN_IF_ERROR(status);
    for (const Slot slot : instruction.dead) frame[static_cast<size_t>(slot)] = IValue();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<at::Tensor> RunCode(const Code& code, Frame frame) {
  BIF_RETURN_IF_ERROR(RunInstructions(code, code.instructions.size(), frame));
  const IValue& output = At(frame, code.output);
  if (!output.isTensor()) return absl::InternalError("the program gave no tensor");
  return output.toTensor();
}

absl::StatusOr<LinearHead> RunCodeToHead(const Code& code, Frame frame) {
  if (!code.last_linear) {
    BIF_ASSIGN_OR_RETURN(at::Tensor output, RunCode(code, std::move(frame)));
    return LinearHead{std::move(output), {}, {}};
  }
  const LastLinear& last = *code.last_linear;
  BIF_RETURN_IF_ERROR(RunInstructions(code, last.instruction, frame));
  LinearHead head;
  for (const auto& [slot, tensor] :
       {std::pair(last.input, &head.input), std::pair(last.weight, &head.weight),
        std::pair(last.bias, &head.bias)}) {
    if (slot == kNoSlot) continue;
    if (!At(frame, slot).isTensor()) return absl::InternalError("the program gave no tensor");
    *tensor = At(frame, slot).toTensor();
  }
  return head;
}

}  // namespace bif::engine
