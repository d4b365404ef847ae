// What a program needs and gives: its inputs bound to dataset columns, its trainable parameters,
// everything else that it holds, and the ProgramInfo that others see. Made from an opened file and
// the user's ProgramSource, without LibTorch.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/engine/program_file/program_file.h"
#include "src/engine/sequences.h"

namespace bif::engine {

// One user input of the graph. `shape` is without the batch dimension; -1 takes any size.
struct BoundInput {
  std::string name;
  std::string value;  // in the graph
  GraphDType dtype = GraphDType::kFloat;
  std::vector<int64_t> shape;
  bool is_sequence = false;  // shape[0] counts tokens
};

// A tensor that a run takes from the weights or the archive. Tied weights are one HeldTensor with
// several names.
struct HeldTensor {
  std::vector<std::string> names;   // the first is the one that is shown
  std::vector<std::string> values;  // in the graph, one a name
  GraphDType dtype = GraphDType::kFloat;
  std::vector<int64_t> shape;
  const StoredTensor* stored =
      nullptr;  // in the archive; null if it is not there. Owned by the ProgramFile
  bool trainable = false;
  bool from_weights = false;  // part of the weights: a parameter or persistent buffer
  bool used = false;          // some node reads it
};

struct ProgramLayout {
  ProgramInfo info;
  std::vector<BoundInput> inputs;      // in the order of ProgramSource::inputs
  SequenceLimits sequence_limits;      // with the loss kNextToken
  std::vector<HeldTensor> parameters;  // trainable, in the order of info.parameters
  std::vector<HeldTensor> others;      // frozen parameters, buffers and constants
};

// Checks the graph (CheckGraph), the bindings, the batch dimension and the loss. What a binding
// gets wrong is a field error with a path such as "inputs[1].column" or "target_column"; what the
// file gets wrong is plain INVALID_ARGUMENT. `file` must outlive the layout.
absl::StatusOr<ProgramLayout> LayOut(const ProgramFile& file, const ProgramSource& source);

}  // namespace bif::engine
