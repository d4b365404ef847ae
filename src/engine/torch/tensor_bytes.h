// Host tensors from bytes of a file. The bytes are copied: they need no alignment and may go away
// afterwards.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <vector>

#include "src/base/safetensors.h"
#include "src/base/tensor.h"
#include "src/engine/program_file/stored_tensor.h"

namespace bif::engine {

std::optional<at::ScalarType> ToScalarType(
    SafetensorsDType dtype);  // nothing for those that weights do not have

std::optional<at::ScalarType> ToScalarType(DType dtype);  // nothing for kUnspecified

// Contiguous, on the CPU. Both have been checked when they were parsed; out of memory throws.
at::Tensor CopyTensor(const StoredTensor& stored);
at::Tensor CopyTensor(const SafetensorsTensor& stored, at::ScalarType dtype);

}  // namespace bif::engine
