#include "src/engine/program_file/graph_parser.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

constexpr int kMaxNesting = 16;

absl::StatusOr<Graph> ParseNestedGraph(const Json& graph, int depth);

Element ValueNamed(std::string name) {
  Element element;
  element.value = std::move(name);
  return element;
}

template <typename Literal>
Element LiteralOf(Literal literal) {
  Element element;
  element.literal = std::move(literal);
  return element;
}

absl::StatusOr<Element> ParseTensorName(const Json& value) {
  BIF_ASSIGN_OR_RETURN(std::string name, StringField(value, "name"));
  if (name.empty()) return absl::InvalidArgumentError("a value has an empty name");
  return ValueNamed(std::move(name));
}

absl::StatusOr<Element> ParseOptionalTensor(const Json& value) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(value, "optional tensor"));
  if (member.kind == "as_none") return Element();
  return ParseTensorName(*member.value);
}

absl::StatusOr<Element> ParseInt(const Json& value) {
  BIF_ASSIGN_OR_RETURN(const int64_t number, AsInt(value, "integer"));
  return LiteralOf(number);
}

absl::StatusOr<Element> ParseFloat(const Json& value) {
  BIF_ASSIGN_OR_RETURN(const double number, AsDouble(value, "number"));
  return LiteralOf(number);
}

absl::StatusOr<Element> ParseBool(const Json& value) {
  BIF_ASSIGN_OR_RETURN(const bool truth, AsBool(value, "truth value"));
  return LiteralOf(truth);
}

absl::StatusOr<Element> ParseString(const Json& value) {
  BIF_ASSIGN_OR_RETURN(std::string text, AsString(value, "string"));
  return LiteralOf(std::move(text));
}

absl::StatusOr<Element> ParseDevice(const Json& value) {
  BIF_ASSIGN_OR_RETURN(std::string type, StringField(value, "type"));
  return LiteralOf(std::move(type));
}

// {"as_name": "sym_size"} or {"as_int": 3}; the literal's kind depends on which of the three this
// is.
absl::StatusOr<Element> ParseSymbolic(const Json& value) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(value, "symbolic value"));
  if (member.kind == "as_name") {
    BIF_ASSIGN_OR_RETURN(std::string name, AsString(*member.value, "as_name"));
    if (name.empty()) return absl::InvalidArgumentError("a value has an empty name");
    return ValueNamed(std::move(name));
  }
  if (member.kind == "as_int") return ParseInt(*member.value);
  if (member.kind == "as_float") return ParseFloat(*member.value);
  if (member.kind == "as_bool") return ParseBool(*member.value);
  return absl::InvalidArgumentError(
      absl::StrCat("a symbolic value of the unknown kind '", member.kind, "'"));
}

using ElementParser = absl::StatusOr<Element> (*)(const Json&);

struct Kind {
  const char* name;
  ArgumentType type;
  bool is_list;
  ElementParser parse;
};

constexpr Kind kKinds[] = {
    {"as_tensor", ArgumentType::kTensor, false, ParseTensorName},
    {"as_tensors", ArgumentType::kTensor, true, ParseTensorName},
    {"as_optional_tensor", ArgumentType::kTensor, false, ParseOptionalTensor},
    {"as_optional_tensors", ArgumentType::kTensor, true, ParseOptionalTensor},
    {"as_int", ArgumentType::kInt, false, ParseInt},
    {"as_ints", ArgumentType::kInt, true, ParseInt},
    {"as_sym_int", ArgumentType::kInt, false, ParseSymbolic},
    {"as_sym_ints", ArgumentType::kInt, true, ParseSymbolic},
    {"as_float", ArgumentType::kFloat, false, ParseFloat},
    {"as_floats", ArgumentType::kFloat, true, ParseFloat},
    {"as_sym_float", ArgumentType::kFloat, false, ParseSymbolic},
    {"as_sym_floats", ArgumentType::kFloat, true, ParseSymbolic},
    {"as_bool", ArgumentType::kBool, false, ParseBool},
    {"as_bools", ArgumentType::kBool, true, ParseBool},
    {"as_sym_bool", ArgumentType::kBool, false, ParseSymbolic},
    {"as_sym_bools", ArgumentType::kBool, true, ParseSymbolic},
    {"as_string", ArgumentType::kString, false, ParseString},
    {"as_scalar_type", ArgumentType::kScalarType, false, ParseInt},
    {"as_memory_format", ArgumentType::kMemoryFormat, false, ParseInt},
    {"as_layout", ArgumentType::kLayout, false, ParseInt},
    {"as_device", ArgumentType::kDevice, false, ParseDevice},
};

absl::StatusOr<Argument> ParseNestedArgument(const Json& json, int depth) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(json, "argument"));
  Argument argument;
  if (member.kind == "as_none") return argument;
  if (member.kind == "as_graph") {
    BIF_ASSIGN_OR_RETURN(const Json* graph, ObjectField(*member.value, "graph"));
    BIF_ASSIGN_OR_RETURN(Graph parsed, ParseNestedGraph(*graph, depth + 1));
    argument.type = ArgumentType::kGraph;
    argument.graph = std::make_shared<const Graph>(std::move(parsed));
    return argument;
  }
  for (const Kind& kind : kKinds) {
    if (member.kind != kind.name) continue;
    argument.type = kind.type;
    argument.is_list = kind.is_list;
    if (!kind.is_list) {
      BIF_ASSIGN_OR_RETURN(Element element, kind.parse(*member.value));
      argument.elements.push_back(std::move(element));
      return argument;
    }
    if (!member.value->is_array()) {
      return absl::InvalidArgumentError(absl::StrCat("'", member.kind, "' is not an array"));
    }
    for (const Json& item : *member.value) {
      BIF_ASSIGN_OR_RETURN(Element element, kind.parse(item));
      argument.elements.push_back(std::move(element));
    }
    return argument;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("arguments of the kind '", member.kind, "' are not supported"));
}

absl::Status ParseNode(const Json& json, int depth, Node& node) {
  BIF_ASSIGN_OR_RETURN(const Json* inputs, ArrayField(json, "inputs"));
  for (const Json& input : *inputs) {
    BIF_ASSIGN_OR_RETURN(std::string name, StringField(input, "name"));
    BIF_ASSIGN_OR_RETURN(const Json* value, Field(input, "arg"));
    absl::StatusOr<Argument> argument = ParseNestedArgument(*value, depth);
    if (!argument.ok()) return Annotate(argument.status(), absl::StrCat("argument '", name, "'"));
    argument->name = std::move(name);
    node.inputs.push_back(*std::move(argument));
  }
  BIF_ASSIGN_OR_RETURN(const Json* outputs, ArrayField(json, "outputs"));
  for (const Json& output : *outputs) {
    BIF_ASSIGN_OR_RETURN(Argument argument, ParseNestedArgument(output, depth));
    node.outputs.push_back(std::move(argument));
  }
  return absl::OkStatus();
}

// The name and the target first, so that whatever else is wrong can be told with them.
absl::StatusOr<Node> ParseNamedNode(const Json& json, size_t position, int depth) {
  Node node;
  const auto place = [&] { return absl::StrCat("node ", position); };
  absl::StatusOr<std::string> target = StringField(json, "target");
  if (!target.ok()) return Annotate(target.status(), place());
  node.target = *std::move(target);
  const auto name = json.find("name");  // absent from archives of older minor versions
  node.name = name != json.end() && name->is_string() ? name->get<std::string>() : place();
  if (absl::Status status = ParseNode(json, depth, node); !status.ok()) {
    return Annotate(status, absl::StrCat("node '", node.name, "' (", node.target, ")"));
  }
  return node;
}

absl::StatusOr<std::string> ParseGraphInput(const Json& json, int depth) {
  BIF_ASSIGN_OR_RETURN(const Argument argument, ParseNestedArgument(json, depth));
  return argument.elements.empty() ? std::string() : argument.elements.front().value;
}

absl::StatusOr<Graph> ParseNestedGraph(const Json& json, int depth) {
  if (depth > kMaxNesting) {
    return absl::InvalidArgumentError(
        absl::StrCat("graphs are nested more than ", kMaxNesting, " deep"));
  }
  Graph graph;
  BIF_ASSIGN_OR_RETURN(const Json* inputs, ArrayField(json, "inputs"));
  for (const Json& input : *inputs) {
    BIF_ASSIGN_OR_RETURN(std::string name, ParseGraphInput(input, depth));
    graph.inputs.push_back(std::move(name));
  }
  BIF_ASSIGN_OR_RETURN(const Json* tensors, ObjectField(json, "tensor_values"));
  for (const auto& [name, meta] : tensors->items()) {
    absl::StatusOr<TensorMeta> parsed = ParseTensorMeta(meta);
    if (!parsed.ok()) return Annotate(parsed.status(), absl::StrCat("value '", name, "'"));
    graph.tensors.emplace(name, *std::move(parsed));
  }
  BIF_ASSIGN_OR_RETURN(const Json* nodes, ArrayField(json, "nodes"));
  graph.nodes.reserve(nodes->size());
  for (const Json& item : *nodes) {
    BIF_ASSIGN_OR_RETURN(Node node, ParseNamedNode(item, graph.nodes.size(), depth));
    graph.nodes.push_back(std::move(node));
  }
  BIF_ASSIGN_OR_RETURN(const Json* outputs, ArrayField(json, "outputs"));
  for (const Json& output : *outputs) {
    BIF_ASSIGN_OR_RETURN(Argument argument, ParseNestedArgument(output, depth));
    graph.outputs.push_back(std::move(argument));
  }
  return graph;
}

absl::StatusOr<Dimension> ParseDimension(const Json& json) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(json, "size"));
  Dimension dimension;
  if (member.kind == "as_int") {
    BIF_ASSIGN_OR_RETURN(dimension.size, AsInt(*member.value, "size"));
    if (dimension.size < 0) return absl::InvalidArgumentError("a size is negative");
  } else {
    BIF_ASSIGN_OR_RETURN(dimension.expression, StringField(*member.value, "expr_str"));
    if (dimension.expression.empty())
      return absl::InvalidArgumentError("a size has an empty expression");
  }
  return dimension;
}

}  // namespace

absl::StatusOr<Graph> ParseGraph(const Json& graph) { return ParseNestedGraph(graph, 0); }

absl::StatusOr<Argument> ParseArgument(const Json& argument) {
  return ParseNestedArgument(argument, 0);
}

absl::StatusOr<TensorMeta> ParseTensorMeta(const Json& json) {
  TensorMeta meta;
  BIF_ASSIGN_OR_RETURN(const int64_t dtype, IntField(json, "dtype"));
  meta.dtype = dtype >= 0 && dtype < 256 ? static_cast<GraphDType>(dtype) : GraphDType::kUnknown;
  BIF_ASSIGN_OR_RETURN(meta.requires_grad, BoolField(json, "requires_grad"));
  BIF_ASSIGN_OR_RETURN(const Json* sizes, ArrayField(json, "sizes"));
  for (const Json& size : *sizes) {
    BIF_ASSIGN_OR_RETURN(Dimension dimension, ParseDimension(size));
    meta.sizes.push_back(std::move(dimension));
  }
  return meta;
}

}  // namespace bif::engine
