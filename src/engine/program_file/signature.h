// What the values that enter and leave a graph stand for. JSON in, plain values out; malformed is
// INVALID_ARGUMENT.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/engine/program_file/json_fields.h"

namespace bif::engine {

enum class InputKind : uint8_t { kParameter, kBuffer, kTensorConstant, kUserInput, kConstant };

struct InputSpec {
  InputKind kind = InputKind::kConstant;
  std::string value;  // its name in the graph; empty for kConstant, which no node refers to
  std::string name;   // of the parameter, buffer or constant; for a user input the same as `value`
  bool persistent = true;  // of a buffer: whether it is part of the weights
};

struct Signature {
  std::vector<InputSpec> inputs;
  std::string first_output;  // the value that is returned
};

// Also refuses graphs that change a buffer, a parameter or an input, by the name of what they
// change.
absl::StatusOr<Signature> ParseSignature(const Json& signature);

}  // namespace bif::engine
