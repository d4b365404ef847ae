// A torch.export graph as plain values: what stands in models/model.json, before anything is
// resolved.
//
// The schema is torch/_export/serde/schema.py, version 8. Value types; nothing here is checked for
// sense beyond its form.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace bif::engine {

// The schema's own numbering, which is not that of c10::ScalarType.
enum class GraphDType : int {
  kUnknown = 0,
  kByte = 1,
  kChar = 2,
  kShort = 3,
  kInt = 4,
  kLong = 5,
  kHalf = 6,
  kFloat = 7,
  kDouble = 8,
  kBool = 12,
  kBfloat16 = 13,
};

// One size of a tensor: a number, or an expression over symbols such as "Symbol('s77',
// positive=True, integer=True)".
struct Dimension {
  int64_t size = -1;       // -1: known only when the program runs
  std::string expression;  // empty for a number
};

struct TensorMeta {
  GraphDType dtype = GraphDType::kUnknown;
  std::vector<Dimension> sizes;
  bool requires_grad = false;
};

struct Graph;

enum class ArgumentType : uint8_t {
  kNone,
  kTensor,
  kInt,
  kFloat,
  kBool,
  kString,
  kScalarType,
  kMemoryFormat,
  kLayout,
  kDevice,
  kGraph,
};

// The name of a value, or a literal; monostate is None.
struct Element {
  std::string value;
  std::variant<std::monostate, bool, int64_t, double, std::string> literal;
};

struct Argument {
  std::string name;  // as in the operator's schema; empty for outputs and higher-order operators
  ArgumentType type = ArgumentType::kNone;
  bool is_list = false;
  std::vector<Element> elements;       // exactly one unless is_list; none for kNone and kGraph
  std::shared_ptr<const Graph> graph;  // with kGraph
};

struct Node {
  std::string name;
  std::string target;  // "torch.ops.aten.conv2d.default", "_operator.mul"
  std::vector<Argument> inputs;
  std::vector<Argument> outputs;
};

struct Graph {
  std::vector<std::string> inputs;  // names of values; empty for one that is a constant
  std::vector<Argument> outputs;
  std::vector<Node> nodes;
  std::map<std::string, TensorMeta> tensors;  // by the value's name
};

}  // namespace bif::engine
