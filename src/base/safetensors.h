// Reads safetensors files: named tensors behind a JSON header
// (https://huggingface.co/docs/safetensors).
//
// The file is a stranger's. Before anything is handed out, the header's length (at most 100 MB),
// every name, dtype, shape and byte range is checked: in bounds, no two alike, no overlap, no hole.
// What is wrong is INVALID_ARGUMENT and names the tensor. Immutable once opened, so thread-safe;
// byte views live as long as the object they came from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/files.h"
#include "src/base/tensor.h"

namespace bif {

enum class SafetensorsDType : uint8_t {
  kBool,
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kUint64,
  kInt64,
  kFloat8E4m3,
  kFloat8E5m2,
  kFloat16,
  kBfloat16,
  kFloat32,
  kFloat64,
};

size_t SizeOf(SafetensorsDType dtype);
std::string_view SafetensorsDTypeName(SafetensorsDType dtype);  // as the format spells it: "BF16"
// The dataset dtype that is the same thing, or kUnspecified if there is none.
DType ToDType(SafetensorsDType dtype);

struct SafetensorsTensor {
  std::string name;
  SafetensorsDType dtype = SafetensorsDType::kFloat32;
  std::vector<int64_t> shape;  // empty: a scalar; a dimension may be 0
  int64_t elements = 0;
  std::string_view
      bytes;  // row major, little endian, elements * SizeOf(dtype); not necessarily aligned
};

class SafetensorsFile {
 public:
  // Maps the file. NOT_FOUND if it is missing; messages start with the path.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);
  // Reads from memory, which must outlive the object.
  static absl::StatusOr<SafetensorsFile> Parse(std::string_view bytes);

  const std::vector<SafetensorsTensor>& tensors() const {
    return tensors_;
  }                                                            // in order of their bytes
  const SafetensorsTensor* Find(std::string_view name) const;  // nullptr if there is none
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  SafetensorsFile() = default;
  std::shared_ptr<const MappedFile> file_;  // null with Parse
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;  // position in tensors_
  std::map<std::string, std::string> metadata_;
};

}  // namespace bif
