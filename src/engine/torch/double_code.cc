#include "src/engine/torch/double_code.h"

#include <ATen/ATen.h>
#include <ATen/core/jit_type.h>

#include "absl/strings/str_cat.h"

namespace bif::engine {
namespace {

// Schemas call a dtype an int; its real type tells.
bool IsDtype(const c10::Argument& argument) {
  c10::TypePtr type = argument.real_type();
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  return type->kind() == c10::TypeKind::ScalarTypeType;
}

at::Tensor Double(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.scalar_type() != at::kFloat) return tensor;
  at::Tensor made = tensor.to(at::kDouble);
  // A literal that does not decide its result's dtype stays one.
  if (tensor.unsafeGetTensorImpl()->is_wrapped_number())
    made.unsafeGetTensorImpl()->set_wrapped_number(true);
  return made;
}

}  // namespace

absl::StatusOr<Code> CodeInDouble(const Code& code) {
  Code made = code;
  for (Instruction& instruction : made.instructions) {
    if (!instruction.op) continue;
    const auto& schema = instruction.op->schema().arguments();
    for (size_t i = 0; i < schema.size() && i < instruction.arguments.size(); ++i) {
      c10::IValue& argument = instruction.arguments[i];
      if (!IsDtype(schema[i]) || !argument.isInt()) continue;
      const auto dtype = static_cast<at::ScalarType>(argument.toInt());
      if (dtype == at::kFloat) {
        argument = static_cast<int64_t>(at::kDouble);
      } else if (at::isFloatingType(dtype) && dtype != at::kDouble) {
        return absl::UnimplementedError(
            absl::StrCat(instruction.label, " rounds to ", at::toString(dtype)));
      }
    }
  }
  return made;
}

std::vector<c10::IValue> FrameInDouble(const std::vector<c10::IValue>& frame) {
  std::vector<c10::IValue> made = frame;
  for (c10::IValue& value : made) {
    if (value.isTensor()) value = Double(value.toTensor());
  }
  return made;
}

}  // namespace bif::engine
