// JSON to Graph. What is malformed is INVALID_ARGUMENT and names the node and argument.
#pragma once

#include "absl/status/statusor.h"
#include "src/engine/program_file/graph.h"
#include "src/engine/program_file/json_fields.h"

namespace bif::engine {

// `graph` is the schema's Graph object. Nested graphs (of higher-order operators) may be 16 deep.
absl::StatusOr<Graph> ParseGraph(const Json& graph);

// The schema's Argument union.
absl::StatusOr<Argument> ParseArgument(const Json& argument);

// The schema's TensorMeta.
absl::StatusOr<TensorMeta> ParseTensorMeta(const Json& meta);

}  // namespace bif::engine
