#include "src/engine/torch/operator_call.h"

#include <ATen/ATen.h>
#include <ATen/core/jit_type.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/graph_checks.h"
#include "src/engine/torch/graph_dtypes.h"

namespace bif::engine {
namespace {

using c10::IValue;
using c10::TypeKind;

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

// A schema's type with the optional taken off, and the element's if it is a list.
struct Wanted {
  TypeKind kind = TypeKind::AnyType;
  TypeKind element = TypeKind::AnyType;
  bool optional_elements = false;
};

Wanted Describe(c10::TypePtr type) {
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  Wanted wanted{.kind = type->kind()};
  if (const auto list = type->cast<c10::ListType>()) {
    c10::TypePtr element = list->getElementType();
    if (const auto optional = element->cast<c10::OptionalType>()) {
      wanted.optional_elements = true;
      element = optional->getElementType();
    }
    wanted.element = element->kind();
  }
  return wanted;
}

// A number where a tensor is wanted, as PyTorch's binary operators make it.
at::Tensor WrappedNumber(const c10::Scalar& number) {
  at::Tensor tensor = at::scalar_tensor(number, at::TensorOptions().dtype(number.type()));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

absl::StatusOr<c10::Scalar> LiteralNumber(const Element& element) {
  if (const auto* value = std::get_if<bool>(&element.literal)) return c10::Scalar(*value);
  if (const auto* value = std::get_if<int64_t>(&element.literal)) return c10::Scalar(*value);
  if (const auto* value = std::get_if<double>(&element.literal)) return c10::Scalar(*value);
  return Bad("a number is expected");
}

absl::StatusOr<int64_t> LiteralInt(const Element& element) {
  if (const auto* value = std::get_if<int64_t>(&element.literal)) return *value;
  if (const auto* value = std::get_if<bool>(&element.literal)) return static_cast<int64_t>(*value);
  return Bad("a whole number is expected");
}

// Collects the fills of one argument while its template value is made.
class ArgumentMaker {
 public:
  ArgumentMaker(size_t position, const Scope& scope, c10::Device device, Instruction& instruction)
      : position_(position), scope_(scope), device_(device), instruction_(instruction) {}

  absl::StatusOr<IValue> Make(const Argument& given, const c10::Argument& schema) {
    const Wanted wanted = Describe(schema.type());
    if (given.type == ArgumentType::kNone) return IValue();
    if (wanted.kind == TypeKind::ListType) return MakeList(given, wanted, schema);
    if (given.is_list || given.elements.size() != 1)
      return Bad("a single value is expected, not a list");
    const Element& element = given.elements[0];
    if (!element.value.empty()) return MakeValue(element.value, wanted);
    if (std::holds_alternative<std::monostate>(element.literal)) return IValue();
    return MakeLiteral(given.type, element, wanted);
  }

 private:
  absl::StatusOr<Value> Find(const std::string& name) const {
    const auto found = scope_.find(name);
    if (found == scope_.end())
      return Bad(absl::StrCat("the value '", name, "' is not known at this point"));
    return found->second;
  }

  absl::StatusOr<IValue> MakeValue(const std::string& name, const Wanted& wanted) {
    BIF_ASSIGN_OR_RETURN(const Value value, Find(name));
    Conversion conversion = Conversion::kNone;
    if (value.is_tensor != (wanted.kind == TypeKind::TensorType)) {
      if (value.is_tensor)
        return Bad(absl::StrCat("'", name, "' is a tensor where a number is expected"));
      conversion = Conversion::kToTensor;
    } else if (wanted.kind == TypeKind::FloatType) {
      conversion = Conversion::kToDouble;
    }
    instruction_.fills.push_back({position_, conversion, {value.slot}, {}});
    return IValue();
  }

  absl::StatusOr<IValue> MakeLiteral(ArgumentType type, const Element& element,
                                     const Wanted& wanted) {
    switch (type) {
      case ArgumentType::kString:
        if (wanted.kind != TypeKind::StringType) return Bad("a string is not expected");
        return IValue(std::get<std::string>(element.literal));
      case ArgumentType::kDevice:
        if (wanted.kind != TypeKind::DeviceObjType) return Bad("a device is not expected");
        return IValue(device_);
      case ArgumentType::kScalarType: {
        BIF_ASSIGN_OR_RETURN(const int64_t number, LiteralInt(element));
        const auto dtype = ToScalarType(static_cast<GraphDType>(number));
        if (!dtype || wanted.kind != TypeKind::IntType)
          return Bad(absl::StrCat("dtype ", number, " is not supported"));
        return IValue(static_cast<int64_t>(*dtype));
      }
      case ArgumentType::kMemoryFormat: {
        BIF_ASSIGN_OR_RETURN(const int64_t number, LiteralInt(element));
        const auto format = ToMemoryFormat(number);
        if (!format || wanted.kind != TypeKind::IntType)
          return Bad("this memory format is not supported");
        return IValue(static_cast<int64_t>(*format));
      }
      case ArgumentType::kLayout: {
        BIF_ASSIGN_OR_RETURN(const int64_t number, LiteralInt(element));
        if (number != kGraphStridedLayout) return Bad("only dense (strided) tensors are supported");
        return IValue(static_cast<int64_t>(at::kStrided));
      }
      default:
        return MakeNumber(element, wanted);
    }
  }

  absl::StatusOr<IValue> MakeNumber(const Element& element, const Wanted& wanted) {
    BIF_ASSIGN_OR_RETURN(const c10::Scalar number, LiteralNumber(element));
    switch (wanted.kind) {
      case TypeKind::TensorType:
        return IValue(WrappedNumber(number));
      case TypeKind::NumberType:
        return IValue(number);
      case TypeKind::FloatType:
        return IValue(number.toDouble());
      case TypeKind::IntType: {
        BIF_ASSIGN_OR_RETURN(const int64_t whole, LiteralInt(element));
        return IValue(whole);
      }
      case TypeKind::BoolType:
        if (!number.isBoolean()) return Bad("true or false is expected");
        return IValue(number.toBool());
      default:
        return Bad("a number is not expected");
    }
  }

  absl::StatusOr<IValue> MakeList(const Argument& given, const Wanted& wanted,
                                  const c10::Argument& schema) {
    switch (wanted.element) {
      case TypeKind::TensorType:
        return MakeTensorList(given, wanted.optional_elements);
      case TypeKind::IntType:
        return MakeIntList(given, schema);
      case TypeKind::FloatType:
        return MakeDoubleList(given);
      case TypeKind::BoolType: {
        c10::List<bool> list;
        for (const Element& element : given.elements) {
          const auto* truth = std::get_if<bool>(&element.literal);
          if (truth == nullptr) return Bad("a list of true and false is expected");
          list.push_back(*truth);
        }
        return IValue(std::move(list));
      }
      default:
        return Bad("lists of this kind are not supported");
    }
  }

  absl::StatusOr<IValue> MakeTensorList(const Argument& given, bool optional_elements) {
    if (given.type != ArgumentType::kTensor && !(given.is_list && given.elements.empty())) {
      return Bad("a list of tensors is expected");
    }
    Fill fill{position_,
              optional_elements ? Conversion::kOptionalTensorList : Conversion::kTensorList,
              {},
              {}};
    for (const Element& element : given.elements) {
      if (element.value.empty()) {
        if (!optional_elements) return Bad("a tensor is missing from a list");
        fill.slots.push_back(kNoSlot);
        continue;
      }
      BIF_ASSIGN_OR_RETURN(const Value value, Find(element.value));
      if (!value.is_tensor) return Bad(absl::StrCat("'", element.value, "' is not a tensor"));
      fill.slots.push_back(value.slot);
    }
    instruction_.fills.push_back(std::move(fill));
    return IValue();
  }

  // A list of integers; a single one stands for as many as the schema says.
  absl::StatusOr<IValue> MakeIntList(const Argument& given, const c10::Argument& schema) {
    Fill fill{position_, Conversion::kIntList, {}, {}};
    bool has_values = false;
    for (const Element& element : given.elements) {
      Slot slot = kNoSlot;
      int64_t literal = 0;
      if (element.value.empty()) {
        BIF_ASSIGN_OR_RETURN(literal, LiteralInt(element));
      } else {
        BIF_ASSIGN_OR_RETURN(const Value value, Find(element.value));
        if (value.is_tensor)
          return Bad(absl::StrCat("'", element.value, "' is a tensor where a number is expected"));
        slot = value.slot;
        has_values = true;
      }
      fill.slots.push_back(slot);
      fill.literals.push_back(literal);
    }
    if (!given.is_list && fill.slots.size() == 1 && schema.N().has_value()) {
      fill.slots.resize(static_cast<size_t>(*schema.N()), fill.slots[0]);
      fill.literals.resize(static_cast<size_t>(*schema.N()), fill.literals[0]);
    }
    if (!has_values) return IValue(c10::List<int64_t>(fill.literals));
    instruction_.fills.push_back(std::move(fill));
    return IValue();
  }

  absl::StatusOr<IValue> MakeDoubleList(const Argument& given) {
    Fill fill{position_, Conversion::kDoubleList, {}, {}};
    c10::List<double> list;
    for (const Element& element : given.elements) {
      if (element.value.empty()) {
        BIF_ASSIGN_OR_RETURN(const c10::Scalar number, LiteralNumber(element));
        list.push_back(number.toDouble());
        continue;
      }
      BIF_ASSIGN_OR_RETURN(const Value value, Find(element.value));
      if (value.is_tensor)
        return Bad(absl::StrCat("'", element.value, "' is a tensor where a number is expected"));
      fill.slots.push_back(value.slot);
    }
    if (fill.slots.empty()) return IValue(std::move(list));
    if (fill.slots.size() != given.elements.size()) return Bad("a list mixes numbers and values");
    instruction_.fills.push_back(std::move(fill));
    return IValue();
  }

  const size_t position_;
  const Scope& scope_;
  const c10::Device device_;
  Instruction& instruction_;
};

bool IsDevice(const c10::Argument& argument) {
  return Describe(argument.type()).kind == TypeKind::DeviceObjType;
}

bool TakesTensors(const c10::FunctionSchema& schema) {
  for (const c10::Argument& argument : schema.arguments()) {
    const Wanted wanted = Describe(argument.type());
    if (wanted.kind == TypeKind::TensorType || wanted.element == TypeKind::TensorType) return true;
  }
  return false;
}

// The value of an argument that the node does not mention.
absl::StatusOr<IValue> DefaultOf(const c10::Argument& argument) {
  if (argument.default_value().has_value()) return *argument.default_value();
  if (argument.type()->kind() == TypeKind::OptionalType) return IValue();
  return Bad("it is missing");
}

}  // namespace

absl::StatusOr<Instruction> PrepareCall(const Node& node, const OperatorName& target,
                                        const Scope& scope, c10::Device device) {
  Instruction instruction;
  instruction.op = c10::Dispatcher::singleton().findSchema(
      {absl::StrCat("aten::", target.name), target.overload});
  if (!instruction.op) return Bad("this LibTorch does not have the operator");
  const c10::FunctionSchema& schema = instruction.op->schema();
  instruction.zero_result =
      absl::StartsWith(target.name, "empty") || absl::StartsWith(target.name, "new_empty");

  size_t matched = 0;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    if (argument.is_out())
      return Bad("variants that write into an 'out' argument are not supported");
    const Argument* given = FindArgument(node, argument.name());
    matched += given != nullptr ? 1 : 0;
    absl::StatusOr<IValue> value =
        given != nullptr ? ArgumentMaker(i, scope, device, instruction).Make(*given, argument)
                         : DefaultOf(argument);
    if (!value.ok())
      return Annotate(value.status(), absl::StrCat("argument '", argument.name(), "'"));
    // What is made from nothing is made on the executor's device.
    if (IsDevice(argument) && value->isNone() && !TakesTensors(schema)) value = IValue(device);
    if (argument.name() == "pin_memory") value = IValue();
    instruction.arguments.push_back(*std::move(value));
  }
  if (matched != node.inputs.size())
    return Bad("it has an argument that the operator does not know, or one twice");
  return instruction;
}

}  // namespace bif::engine
