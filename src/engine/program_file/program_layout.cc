#include "src/engine/program_file/program_layout.h"

#include "src/base/status.h"
#include "src/engine/program_file/bindings.h"
#include "src/engine/program_file/graph_checks.h"
#include "src/engine/program_file/held_tensors.h"

namespace bif::engine {
namespace {

int64_t CountNodes(const Graph& graph) {
  int64_t nodes = 0;
  for (const Node& node : graph.nodes) {
    ++nodes;
    for (const Argument& input : node.inputs) {
      if (input.graph != nullptr) nodes += CountNodes(*input.graph);
    }
  }
  return nodes;
}

}  // namespace

absl::StatusOr<ProgramLayout> LayOut(const ProgramFile& file, const ProgramSource& source) {
  BIF_RETURN_IF_ERROR(CheckGraph(file.graph, file.signature));
  ProgramLayout layout;
  BIF_RETURN_IF_ERROR(ListHeldTensors(file, layout));
  BIF_RETURN_IF_ERROR(BindColumns(file, source, layout));
  layout.info.nodes = CountNodes(file.graph);
  return layout;
}

}  // namespace bif::engine
