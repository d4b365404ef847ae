#include "src/engine/torch/tensor_bytes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "src/engine/torch/graph_dtypes.h"

namespace bif::engine {
namespace {

at::Tensor CopyBytes(std::string_view bytes, const std::vector<int64_t>& sizes,
                     at::ScalarType dtype) {
  at::Tensor tensor = at::empty(sizes, at::TensorOptions().dtype(dtype));
  if (tensor.nbytes() > 0) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), tensor.nbytes());
  return tensor;
}

}  // namespace

std::optional<at::ScalarType> ToScalarType(SafetensorsDType dtype) {
  switch (dtype) {
    case SafetensorsDType::kBool:
      return at::kBool;
    case SafetensorsDType::kUint8:
      return at::kByte;
    case SafetensorsDType::kInt8:
      return at::kChar;
    case SafetensorsDType::kInt16:
      return at::kShort;
    case SafetensorsDType::kInt32:
      return at::kInt;
    case SafetensorsDType::kInt64:
      return at::kLong;
    case SafetensorsDType::kFloat16:
      return at::kHalf;
    case SafetensorsDType::kBfloat16:
      return at::kBFloat16;
    case SafetensorsDType::kFloat32:
      return at::kFloat;
    case SafetensorsDType::kFloat64:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

std::optional<at::ScalarType> ToScalarType(DType dtype) {
  switch (dtype) {
    case DType::kUint8:
      return at::kByte;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt64:
      return at::kLong;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kBool:
      return at::kBool;
    case DType::kUnspecified:
      break;
  }
  return std::nullopt;
}

at::Tensor CopyTensor(const StoredTensor& stored) {
  const at::ScalarType dtype = *ToScalarType(stored.dtype);
  if (stored.elements == 0) return at::empty(stored.sizes, at::TensorOptions().dtype(dtype));
  // The part of the storage that the view reaches; its elements lie inside (StoredTensor).
  int64_t reach = 1;
  for (size_t i = 0; i < stored.sizes.size(); ++i)
    reach += (stored.sizes[i] - 1) * stored.strides[i];
  const size_t element_bytes = SizeOf(stored.dtype);
  const std::string_view part =
      stored.bytes.substr(static_cast<size_t>(stored.storage_offset) * element_bytes,
                          static_cast<size_t>(reach) * element_bytes);
  const at::Tensor flat = CopyBytes(part, {reach}, dtype);
  return flat.as_strided(stored.sizes, stored.strides).contiguous();
}

at::Tensor CopyTensor(const SafetensorsTensor& stored, at::ScalarType dtype) {
  return CopyBytes(stored.bytes, stored.shape, dtype);
}

}  // namespace bif::engine
