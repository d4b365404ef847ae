// The JSON of a program's graph, without the archive around it: what is read has the schema's form.
#include "src/engine/program_file/graph_checks.h"
#include "src/engine/program_file/graph_parser.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

void CheckArgument(const engine::Argument& argument, int depth);

void CheckGraph(const engine::Graph& graph, int depth) {
  fuzz::Require(depth <= 16, "nested graphs are at most 16 deep");
  for (const engine::Node& node : graph.nodes) {
    for (const engine::Argument& argument : node.inputs) CheckArgument(argument, depth);
    for (const engine::Argument& argument : node.outputs) CheckArgument(argument, depth);
  }
}

void CheckArgument(const engine::Argument& argument, int depth) {
  const bool is_graph = argument.type == engine::ArgumentType::kGraph;
  fuzz::Require(is_graph == (argument.graph != nullptr), "a graph argument has a graph");
  if (is_graph) {
    CheckGraph(*argument.graph, depth + 1);
  } else if (argument.type == engine::ArgumentType::kNone) {
    fuzz::Require(argument.elements.empty(), "None has no element");
  } else if (!argument.is_list) {
    fuzz::Require(argument.elements.size() == 1, "what is no list has one element");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = engine::ParseJson(fuzz::Input(data, size).rest(), "graph");
  if (!json.ok()) {
    fuzz::RequireRefusal(json.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  const auto signature = engine::ParseSignature(*json);
  if (!signature.ok()) fuzz::RequireRefusal(signature.status(), absl::StatusCode::kInvalidArgument);
  const auto graph = engine::ParseGraph(*json);
  if (!graph.ok()) {
    fuzz::RequireRefusal(graph.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  CheckGraph(*graph, 0);
  const absl::Status checked =
      engine::CheckGraph(*graph, signature.ok() ? *signature : engine::Signature());
  if (!checked.ok()) fuzz::RequireRefusal(checked, absl::StatusCode::kInvalidArgument);
  return 0;
}
