#include "src/engine/program_file/graph_checks.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/operator_allow_list.h"

namespace bif::engine {
namespace {

// For a value of the graph, the lasting thing whose memory it may share: "parameter 'fc.weight'".
using Owners = std::map<std::string, std::string>;

absl::Status Refuse(const Node& node, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(NodeLabel(node), ": ", why));
}

const Element* SingleElement(const Argument* argument) {
  return argument != nullptr && !argument->is_list && argument->elements.size() == 1
             ? &argument->elements[0]
             : nullptr;
}

// True if the argument is the literal `true`, or is not a literal at all and so could be.
bool MayBeTrue(const Argument* argument) {
  const Element* element = SingleElement(argument);
  if (element == nullptr) return false;
  const bool* truth = std::get_if<bool>(&element->literal);
  return truth == nullptr || *truth;
}

// True if the argument is a number other than 0, or is not a literal at all.
bool MayBeNonZero(const Argument* argument) {
  const Element* element = SingleElement(argument);
  if (element == nullptr) return false;
  if (const auto* number = std::get_if<double>(&element->literal)) return *number != 0;
  if (const auto* number = std::get_if<int64_t>(&element->literal)) return *number != 0;
  return true;
}

std::string OwnerOf(const Owners& owners, const Argument* argument) {
  const Element* element = SingleElement(argument);
  if (element == nullptr) return "";
  const auto found = owners.find(element->value);
  return found == owners.end() ? "" : found->second;
}

absl::Status CheckBatchNorm(const Node& node, const Owners& owners) {
  if (!MayBeTrue(FindArgument(node, "training"))) return absl::OkStatus();
  const std::string buffer = OwnerOf(owners, FindArgument(node, "running_mean"));
  if (buffer.empty()) {
    return Refuse(node,
                  "batch norm without running statistics makes a sample's loss depend on the rest "
                  "of its batch; "
                  "use another normalisation");
  }
  return Refuse(node, absl::StrCat("batch norm in training mode changes the ", buffer,
                                   "; call model.eval() before torch.export.export"));
}

absl::Status CheckInstanceNorm(const Node& node, const Owners& owners) {
  const std::string buffer = OwnerOf(owners, FindArgument(node, "running_mean"));
  if (buffer.empty() || !MayBeTrue(FindArgument(node, "use_input_stats"))) return absl::OkStatus();
  return Refuse(node, absl::StrCat("instance norm in training mode changes the ", buffer,
                                   "; call model.eval() before torch.export.export"));
}

// Losses must be a function of weights and sample alone.
absl::Status CheckDeterministic(const Node& node, const std::string& name, const Owners& owners) {
  constexpr absl::string_view kEval =
      "would make losses random; call model.eval() before torch.export.export";
  if (absl::string_view(name).find("dropout") != absl::string_view::npos &&
      MayBeTrue(FindArgument(node, "train"))) {
    return Refuse(node, absl::StrCat("dropout with train=true ", kEval));
  }
  const bool is_recurrent =
      name == "lstm" || name == "gru" || name == "rnn_tanh" || name == "rnn_relu";
  if (is_recurrent && MayBeTrue(FindArgument(node, "train")) &&
      MayBeNonZero(FindArgument(node, "dropout"))) {
    return Refuse(node, absl::StrCat("a recurrent layer's dropout with train=true ", kEval));
  }
  if (MayBeNonZero(FindArgument(node, "dropout_p")))
    return Refuse(node, absl::StrCat("attention dropout ", kEval));
  if (name == "batch_norm") return CheckBatchNorm(node, owners);
  if (name == "instance_norm") return CheckInstanceNorm(node, owners);
  return absl::OkStatus();
}

void ShareOwner(const std::string& owner, const std::vector<Argument>& outputs, Owners& owners) {
  for (const Argument& output : outputs) {
    for (const Element& element : output.elements) owners[element.value] = owner;
  }
}

// Refuses writing into what lasts, and follows memory through views.
absl::Status CheckAliasing(const Node& node, const std::string& name, Owners& owners) {
  if (node.inputs.empty() || !MayAlias(name)) return absl::OkStatus();
  std::string owner;
  for (const Element& element :
       node.inputs.front().elements) {  // a list with broadcast_tensors, meshgrid
    const auto found = owners.find(element.value);
    if (found != owners.end()) owner = found->second;
  }
  if (owner.empty()) return absl::OkStatus();
  if (IsInPlace(name) && name != "detach_") {
    return Refuse(node, absl::StrCat("it would overwrite the ", owner,
                                     "; write 'x = x + y' instead of 'x += y'"));
  }
  ShareOwner(owner, node.outputs, owners);
  return absl::OkStatus();
}

absl::Status CheckNodes(const Graph& graph, Owners owners, Owners* output_owners);

// wrap_with_set_grad_enabled(bool, graph, operands...): the graph's inputs are the operands.
absl::Status CheckSetGrad(const Node& node, Owners& owners) {
  if (node.inputs.size() < 2 || node.inputs[0].type != ArgumentType::kBool ||
      SingleElement(&node.inputs[0]) == nullptr ||
      !std::holds_alternative<bool>(node.inputs[0].elements[0].literal) ||
      node.inputs[1].graph == nullptr) {
    return Refuse(node, "it does not begin with a truth value and a graph");
  }
  const Graph& inner = *node.inputs[1].graph;
  if (inner.inputs.size() != node.inputs.size() - 2 ||
      inner.outputs.size() != node.outputs.size()) {
    return Refuse(node, "its graph has another number of inputs or outputs than the node");
  }
  Owners inner_owners;
  for (size_t i = 0; i < inner.inputs.size(); ++i) {
    const std::string owner = OwnerOf(owners, &node.inputs[i + 2]);
    if (!owner.empty()) inner_owners[inner.inputs[i]] = owner;
  }
  Owners after;
  BIF_RETURN_IF_ERROR(CheckNodes(inner, std::move(inner_owners), &after));
  for (size_t i = 0; i < inner.outputs.size(); ++i) {
    const std::string owner = OwnerOf(after, &inner.outputs[i]);
    if (!owner.empty()) ShareOwner(owner, {node.outputs[i]}, owners);
  }
  return absl::OkStatus();
}

absl::Status CheckNode(const Node& node, Owners& owners) {
  const OperatorName target = ResolveTarget(node.target);
  switch (target.kind) {
    case OperatorName::Kind::kForbidden:
      return Refuse(node, "this operator is not on the list of those that a program may use");
    case OperatorName::Kind::kSymbolic:
      return absl::OkStatus();
    case OperatorName::Kind::kSetGrad:
      return CheckSetGrad(node, owners);
    case OperatorName::Kind::kAten:
      break;
  }
  BIF_RETURN_IF_ERROR(CheckDeterministic(node, target.name, owners));
  return CheckAliasing(node, target.name, owners);
}

absl::Status CheckNodes(const Graph& graph, Owners owners, Owners* output_owners) {
  for (const Node& node : graph.nodes) BIF_RETURN_IF_ERROR(CheckNode(node, owners));
  if (output_owners != nullptr) *output_owners = std::move(owners);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGraph(const Graph& graph, const Signature& signature) {
  Owners owners;
  for (const InputSpec& input : signature.inputs) {
    switch (input.kind) {
      case InputKind::kParameter:
        owners[input.value] = absl::StrCat("parameter '", input.name, "'");
        break;
      case InputKind::kBuffer:
        owners[input.value] = absl::StrCat("buffer '", input.name, "'");
        break;
      case InputKind::kTensorConstant:
        owners[input.value] = absl::StrCat("constant '", input.name, "'");
        break;
      case InputKind::kUserInput:
        owners[input.value] = absl::StrCat("input '", input.name, "'");
        break;
      case InputKind::kConstant:
        break;
    }
  }
  return CheckNodes(graph, std::move(owners), nullptr);
}

std::string NodeLabel(const Node& node) {
  return absl::StrCat("node '", node.name, "' (", node.target, ")");
}

const Argument* FindArgument(const Node& node, std::string_view name) {
  for (const Argument& input : node.inputs) {
    if (input.name == name) return &input;
  }
  return nullptr;
}

}  // namespace bif::engine
