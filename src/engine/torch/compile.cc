#include "src/engine/torch/compile.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/graph_checks.h"
#include "src/engine/program_file/operator_allow_list.h"
#include "src/engine/torch/operator_call.h"

namespace bif::engine {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

// Checks of ranges and metadata that the exporter made; nothing depends on their results.
bool IsDropped(const OperatorName& target) {
  return target.name == "sym_constrain_range" || target.name == "sym_constrain_range_for_size" ||
         target.name == "_assert_tensor_metadata" || target.name == "_assert_async";
}

Argument Literal(const char* name, bool value) {
  Argument argument{.name = name, .type = ArgumentType::kBool};
  argument.elements.push_back({.value = "", .literal = value});
  return argument;
}

// The decomposed form of batch norm in eval mode trusts the sizes of its statistics. The composite
// operator compares them with the input's, gives the same, and can be batched over chains. Its two
// other results are for backward only.
Node AsBatchNorm(const Node& node) {
  Node call = node;
  call.inputs.push_back(Literal("training", false));
  call.inputs.push_back(Literal("cudnn_enabled", false));
  call.outputs.resize(std::min<size_t>(call.outputs.size(), 1));
  return call;
}

class Compiler {
 public:
  explicit Compiler(c10::Device device) : device_(device) {}

  absl::StatusOr<Code> Compile(const Graph& graph, const Signature& signature) {
    Scope scope;
    for (const InputSpec& input : signature.inputs) {
      if (input.kind == InputKind::kConstant) {
        code_.inputs.push_back(kNoSlot);
        continue;
      }
      BIF_ASSIGN_OR_RETURN(const Slot slot, Define(input.value, /*is_tensor=*/true, scope));
      code_.inputs.push_back(slot);
    }
    BIF_RETURN_IF_ERROR(AddNodes(graph, scope, /*grad_enabled=*/true));
    const auto output = scope.find(signature.first_output);
    if (output == scope.end() || !output->second.is_tensor) {
      return Bad(absl::StrCat("the output '", signature.first_output, "' is computed by no node"));
    }
    code_.output = output->second.slot;
    FindLastLinear();
    MarkLastUses();
    return std::move(code_);
  }

 private:
  absl::StatusOr<Slot> Define(const std::string& name, bool is_tensor, Scope& scope) {
    const auto slot = static_cast<Slot>(code_.slots++);
    if (!scope.emplace(name, Value{slot, is_tensor}).second) {
      return Bad(absl::StrCat("the value '", name, "' is defined twice"));
    }
    return slot;
  }

  absl::Status AddNodes(const Graph& graph, Scope& scope, bool grad_enabled) {
    for (const Node& node : graph.nodes) {
      if (absl::Status status = AddNode(node, scope, grad_enabled); !status.ok()) {
        return Annotate(status, NodeLabel(node));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddNode(const Node& node, Scope& scope, bool grad_enabled) {
    const OperatorName target = ResolveTarget(node.target);
    if (target.kind == OperatorName::Kind::kForbidden) return Bad("this operator is not allowed");
    if (target.kind == OperatorName::Kind::kSetGrad) return AddSetGrad(node, scope, grad_enabled);
    if (target.kind == OperatorName::Kind::kAten && IsDropped(target)) return absl::OkStatus();
    if (target.name == "_native_batch_norm_legit_no_training") {
      return AddCall(AsBatchNorm(node), {target.kind, "batch_norm", ""}, scope);
    }
    return AddCall(node, target, scope);
  }

  absl::Status AddCall(const Node& node, const OperatorName& target, Scope& scope) {
    const bool by_hand = target.kind == OperatorName::Kind::kSymbolic ||
                         target.name == "sym_size" || target.name == "sym_numel" ||
                         target.name == "_assert_scalar";
    BIF_ASSIGN_OR_RETURN(Instruction instruction, by_hand
                                                      ? PrepareSymbolic(node, target, scope)
                                                      : PrepareCall(node, target, scope, device_));
    instruction.label = NodeLabel(node);
    code_.attends |= target.name == "scaled_dot_product_attention";
    BIF_RETURN_IF_ERROR(by_hand ? AddNumberResult(node, instruction, scope)
                                : AddResults(node, instruction, scope));
    code_.instructions.push_back(std::move(instruction));
    return absl::OkStatus();
  }

  absl::StatusOr<Instruction> PrepareSymbolic(const Node& node, const OperatorName& target,
                                              const Scope& scope) {
    Instruction instruction;
    instruction.kind = Instruction::Kind::kSymbolic;
    const std::optional<SymbolicOp> op = FindSymbolicOp(target.name);
    if (!op || OperandCount(*op) != node.inputs.size())
      return Bad("it has another number of operands than expected");
    instruction.symbolic = *op;
    for (const Argument& input : node.inputs) {
      if (input.is_list || input.elements.size() != 1)
        return Bad("an operand is not a single value");
      const Element& element = input.elements[0];
      if (!element.value.empty()) {
        const auto found = scope.find(element.value);
        if (found == scope.end())
          return Bad(absl::StrCat("the value '", element.value, "' is not known at this point"));
        instruction.fills.push_back(
            {instruction.arguments.size(), Conversion::kNone, {found->second.slot}, {}});
        instruction.arguments.emplace_back();
        continue;
      }
      std::visit(
          [&](const auto& literal) {
            if constexpr (std::is_same_v<std::decay_t<decltype(literal)>, std::monostate>) {
              instruction.arguments.emplace_back();
            } else {
              instruction.arguments.emplace_back(literal);
            }
          },
          element.literal);
    }
    return instruction;
  }

  absl::Status AddNumberResult(const Node& node, Instruction& instruction, Scope& scope) {
    if (instruction.symbolic == SymbolicOp::kAssert) return absl::OkStatus();
    if (node.outputs.size() != 1 || node.outputs[0].elements.size() != 1)
      return Bad("it does not give one number");
    BIF_ASSIGN_OR_RETURN(const Slot slot,
                         Define(node.outputs[0].elements[0].value, /*is_tensor=*/false, scope));
    instruction.results = {{slot}};
    return absl::OkStatus();
  }

  absl::Status AddResults(const Node& node, Instruction& instruction, Scope& scope) {
    const std::vector<c10::Argument>& returns = instruction.op->schema().returns();
    if (node.outputs.size() > returns.size())
      return Bad("it has more results than the operator gives");
    for (size_t i = 0; i < returns.size(); ++i) {
      const c10::TypeKind kind = returns[i].type()->kind();
      const bool is_list = kind == c10::TypeKind::ListType;
      if (kind != c10::TypeKind::TensorType && !is_list)
        return Bad("the operator gives something that is no tensor");
      std::vector<Slot> slots;
      if (i < node.outputs.size()) {
        const Argument& output = node.outputs[i];
        if (output.type != ArgumentType::kNone &&
            (output.type != ArgumentType::kTensor || output.is_list != is_list)) {
          return Bad("a result has another type than the operator gives");
        }
        for (const Element& element : output.elements) {
          BIF_ASSIGN_OR_RETURN(const Slot slot, Define(element.value, /*is_tensor=*/true, scope));
          slots.push_back(slot);
        }
      }
      instruction.results.push_back(std::move(slots));
      instruction.result_is_list.push_back(is_list);
    }
    return absl::OkStatus();
  }

  // wrap_with_set_grad_enabled: the inner nodes stand between two instructions that switch
  // gradients.
  absl::Status AddSetGrad(const Node& node, Scope& scope, bool grad_enabled) {
    const bool inner_grad = std::get<bool>(node.inputs[0].elements[0].literal);
    const Graph& inner = *node.inputs[1].graph;
    Scope inner_scope;
    for (size_t i = 0; i < inner.inputs.size(); ++i) {
      const Argument& operand = node.inputs[i + 2];
      if (operand.type == ArgumentType::kNone || inner.inputs[i].empty()) continue;
      const auto found = operand.is_list || operand.elements.empty()
                             ? scope.end()
                             : scope.find(operand.elements[0].value);
      if (found == scope.end()) return Bad("an operand is not a value that is known at this point");
      inner_scope.emplace(inner.inputs[i], found->second);
    }
    AddGradSwitch(node, inner_grad);
    BIF_RETURN_IF_ERROR(AddNodes(inner, inner_scope, inner_grad));
    AddGradSwitch(node, grad_enabled);
    for (size_t i = 0; i < inner.outputs.size(); ++i) {
      const std::vector<Element>& inside = inner.outputs[i].elements;
      const std::vector<Element>& outside = node.outputs[i].elements;
      if (inside.size() != outside.size())
        return Bad("its graph gives another number of results than the node");
      for (size_t k = 0; k < inside.size(); ++k) {
        const auto found = inner_scope.find(inside[k].value);
        if (found == inner_scope.end())
          return Bad(absl::StrCat("no inner node computes '", inside[k].value, "'"));
        if (!scope.emplace(outside[k].value, found->second).second) {
          return Bad(absl::StrCat("the value '", outside[k].value, "' is defined twice"));
        }
      }
    }
    return absl::OkStatus();
  }

  void AddGradSwitch(const Node& node, bool enabled) {
    Instruction instruction;
    instruction.kind = Instruction::Kind::kSetGrad;
    instruction.label = NodeLabel(node);
    instruction.grad_enabled = enabled;
    code_.instructions.push_back(std::move(instruction));
  }

  // The instruction that makes the output, if it is a linear layer and nobody else reads what it
  // makes.
  void FindLastLinear() {
    LastLinear found;
    for (size_t i = 0; i < code_.instructions.size(); ++i) {
      const Instruction& instruction = code_.instructions[i];
      for (const Fill& fill : instruction.fills) {
        const bool reads = std::count(fill.slots.begin(), fill.slots.end(), code_.output) > 0;
        if (reads) return;
      }
      const bool makes = instruction.results == std::vector<std::vector<Slot>>{{code_.output}};
      if (!makes || !instruction.op || instruction.op->schema().name() != "aten::linear") continue;
      found.instruction = i;
      for (const Fill& fill : instruction.fills) {
        Slot& slot = fill.argument == 0   ? found.input
                     : fill.argument == 1 ? found.weight
                                          : found.bias;
        slot = fill.slots[0];
      }
    }
    if (found.input != kNoSlot && found.weight != kNoSlot) code_.last_linear = found;
  }

  // From the back: the first mention of a slot is its last use, and one that nobody mentions is
  // dead where it is made.
  void MarkLastUses() {
    std::vector<bool> needed(code_.slots, false);
    needed[static_cast<size_t>(code_.output)] = true;
    for (auto instruction = code_.instructions.rbegin(); instruction != code_.instructions.rend();
         ++instruction) {
      const auto mention = [&](Slot slot) {
        if (slot == kNoSlot || needed[static_cast<size_t>(slot)]) return;
        needed[static_cast<size_t>(slot)] = true;
        instruction->dead.push_back(slot);
      };
      for (const std::vector<Slot>& result : instruction->results) {
        for (const Slot slot : result) mention(slot);
      }
      for (const Fill& fill : instruction->fills) {
        for (const Slot slot : fill.slots) mention(slot);
      }
    }
  }

  const c10::Device device_;
  Code code_;
};

}  // namespace

absl::StatusOr<Code> CompileGraph(const Graph& graph, const Signature& signature,
                                  c10::Device device) {
  return Compiler(device).Compile(graph, signature);
}

}  // namespace bif::engine
