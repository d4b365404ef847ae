#include "src/engine/torch/graph_dtypes.h"

namespace bif::engine {

std::optional<at::ScalarType> ToScalarType(GraphDType dtype) {
  switch (dtype) {
    case GraphDType::kByte:
      return at::kByte;
    case GraphDType::kChar:
      return at::kChar;
    case GraphDType::kShort:
      return at::kShort;
    case GraphDType::kInt:
      return at::kInt;
    case GraphDType::kLong:
      return at::kLong;
    case GraphDType::kHalf:
      return at::kHalf;
    case GraphDType::kFloat:
      return at::kFloat;
    case GraphDType::kDouble:
      return at::kDouble;
    case GraphDType::kBool:
      return at::kBool;
    case GraphDType::kBfloat16:
      return at::kBFloat16;
    case GraphDType::kUnknown:
      break;
  }
  return std::nullopt;
}

std::optional<at::MemoryFormat> ToMemoryFormat(int64_t graph_number) {
  switch (graph_number) {
    case 1:
      return at::MemoryFormat::Contiguous;
    case 2:
      return at::MemoryFormat::ChannelsLast;
    case 3:
      return at::MemoryFormat::ChannelsLast3d;
    case 4:
      return at::MemoryFormat::Preserve;
    default:
      return std::nullopt;
  }
}

}  // namespace bif::engine
