// Brings weights to the form that a program wants, from its archive or from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/safetensors.h"
#include "src/engine/program_file/program_layout.h"

namespace bif::engine {

// Weights at hand, checked against a layout by name, shape and dtype, values not read yet.
class WeightReader {
 public:
  // With no paths: from the archive. A file that is missing is NOT_FOUND; whatever does not fit is
  // INVALID_ARGUMENT and the message lists the first few names. `layout` must outlive the reader.
  static absl::StatusOr<WeightReader> Open(const ProgramLayout& layout,
                                           const WeightsSource& source);

  // The values of a tensor of the layout, converted to its dtype, contiguous, on the CPU. Refuses
  // values that are not finite, by name.
  absl::StatusOr<at::Tensor> Read(const HeldTensor& held) const;

 private:
  explicit WeightReader(std::vector<std::shared_ptr<const SafetensorsFile>> files)
      : files_(std::move(files)) {}
  // In a safetensors file; null if there is none of that name.
  const SafetensorsTensor* Find(const std::string& name) const;
  const SafetensorsTensor* Find(const HeldTensor& held) const;
  absl::Status CheckNames(const ProgramLayout& layout) const;
  std::string Mismatch(const HeldTensor& held) const;

  std::vector<std::shared_ptr<const SafetensorsFile>> files_;  // empty: the archive
};

// Whether weights have to bring it: a parameter, or a buffer that is saved and that some node
// reads.
bool IsWanted(const HeldTensor& held);

// SHA-256 over the names, shapes and values of all wanted tensors, as hex.
absl::StatusOr<std::string> DigestWeights(const ProgramLayout& layout, const WeightReader& reader);

}  // namespace bif::engine
