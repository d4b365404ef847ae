// The schema's numbers for dtypes and memory formats, in LibTorch's terms.
#pragma once

#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <optional>

#include "src/engine/program_file/graph.h"

namespace bif::engine {

std::optional<at::ScalarType> ToScalarType(
    GraphDType dtype);  // nothing for those that are not supported
std::optional<at::MemoryFormat> ToMemoryFormat(int64_t graph_number);  // MemoryFormat of the schema
inline constexpr int64_t kGraphStridedLayout = 7;  // Layout.Strided of the schema

}  // namespace bif::engine
