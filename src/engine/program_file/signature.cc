#include "src/engine/program_file/signature.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/graph_parser.h"

namespace bif::engine {
namespace {

absl::StatusOr<std::string> TensorName(const Json& spec) {
  BIF_ASSIGN_OR_RETURN(const Json* argument, ObjectField(spec, "arg"));
  return StringField(*argument, "name");
}

absl::StatusOr<InputSpec> ParseUserInput(const Json& spec) {
  BIF_ASSIGN_OR_RETURN(const Json* json, ObjectField(spec, "arg"));
  BIF_ASSIGN_OR_RETURN(const Argument argument, ParseArgument(*json));
  InputSpec input;
  if (argument.elements.empty() || argument.is_list) return input;  // None: nothing enters
  if (argument.type != ArgumentType::kTensor || argument.elements[0].value.empty()) {
    return absl::InvalidArgumentError(
        "a user input is not a tensor; export with numbers and flags as constants, and tensors "
        "only as inputs");
  }
  input.kind = InputKind::kUserInput;
  input.value = input.name = argument.elements[0].value;
  return input;
}

absl::StatusOr<InputSpec> ParseInputSpec(const Json& json) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(json, "input_specs"));
  const Json& spec = *member.value;
  InputSpec input;
  if (member.kind == "user_input") return ParseUserInput(spec);
  if (member.kind == "constant_input") return input;
  if (member.kind == "parameter") {
    input.kind = InputKind::kParameter;
    BIF_ASSIGN_OR_RETURN(input.name, StringField(spec, "parameter_name"));
  } else if (member.kind == "buffer") {
    input.kind = InputKind::kBuffer;
    BIF_ASSIGN_OR_RETURN(input.name, StringField(spec, "buffer_name"));
    BIF_ASSIGN_OR_RETURN(input.persistent, BoolField(spec, "persistent"));
  } else if (member.kind == "tensor_constant") {
    input.kind = InputKind::kTensorConstant;
    BIF_ASSIGN_OR_RETURN(input.name, StringField(spec, "tensor_constant_name"));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("inputs of the kind '", member.kind, "' are not supported"));
  }
  BIF_ASSIGN_OR_RETURN(input.value, TensorName(spec));
  if (input.name.empty() || input.value.empty())
    return absl::InvalidArgumentError("an input has an empty name");
  return input;
}

// The name of a user output's value, "" for an output that is no tensor. Mutations are refused.
absl::StatusOr<std::string> ParseOutputSpec(const Json& json) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(json, "output_specs"));
  const Json& spec = *member.value;
  if (member.kind == "buffer_mutation") {
    BIF_ASSIGN_OR_RETURN(const std::string name, StringField(spec, "buffer_name"));
    return absl::InvalidArgumentError(
        absl::StrCat("the graph changes the buffer '", name,
                     "' when it runs; call model.eval() before torch.export.export"));
  }
  if (member.kind == "parameter_mutation") {
    BIF_ASSIGN_OR_RETURN(const std::string name, StringField(spec, "parameter_name"));
    return absl::InvalidArgumentError(
        absl::StrCat("the graph changes the parameter '", name, "' when it runs"));
  }
  if (member.kind == "user_input_mutation") {
    BIF_ASSIGN_OR_RETURN(const std::string name, StringField(spec, "user_input_name"));
    return absl::InvalidArgumentError(
        absl::StrCat("the graph changes its input '", name, "' when it runs"));
  }
  if (member.kind == "loss_output") return TensorName(spec);
  if (member.kind != "user_output") {
    return absl::InvalidArgumentError(
        absl::StrCat("outputs of the kind '", member.kind, "' are not supported"));
  }
  BIF_ASSIGN_OR_RETURN(const Json* argument_json, ObjectField(spec, "arg"));
  BIF_ASSIGN_OR_RETURN(const Argument argument, ParseArgument(*argument_json));
  if (argument.type != ArgumentType::kTensor || argument.is_list) return std::string();
  return argument.elements[0].value;
}

}  // namespace

absl::StatusOr<Signature> ParseSignature(const Json& json) {
  Signature signature;
  BIF_ASSIGN_OR_RETURN(const Json* inputs, ArrayField(json, "input_specs"));
  for (const Json& item : *inputs) {
    absl::StatusOr<InputSpec> input = ParseInputSpec(item);
    if (!input.ok())
      return Annotate(input.status(), absl::StrCat("input_specs[", signature.inputs.size(), "]"));
    signature.inputs.push_back(*std::move(input));
  }
  BIF_ASSIGN_OR_RETURN(const Json* outputs, ArrayField(json, "output_specs"));
  bool is_first = true;
  for (const Json& item : *outputs) {
    BIF_ASSIGN_OR_RETURN(std::string value, ParseOutputSpec(item));
    if (is_first) signature.first_output = std::move(value);
    is_first = false;
  }
  if (signature.first_output.empty()) {
    return absl::InvalidArgumentError(
        "the program's first output is not a tensor; return logits or losses first");
  }
  return signature;
}

}  // namespace bif::engine
