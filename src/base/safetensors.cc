#include "src/base/safetensors.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strict_json.h"

namespace bif {
namespace {

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;  // the header's length, little endian
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct DTypeRow {
  SafetensorsDType dtype;
  std::string_view name;
  size_t size;
  DType column;
};

constexpr DTypeRow kDTypes[] = {
    {SafetensorsDType::kBool, "BOOL", 1, DType::kBool},
    {SafetensorsDType::kUint8, "U8", 1, DType::kUint8},
    {SafetensorsDType::kInt8, "I8", 1, DType::kUnspecified},
    {SafetensorsDType::kUint16, "U16", 2, DType::kUnspecified},
    {SafetensorsDType::kInt16, "I16", 2, DType::kUnspecified},
    {SafetensorsDType::kUint32, "U32", 4, DType::kUnspecified},
    {SafetensorsDType::kInt32, "I32", 4, DType::kInt32},
    {SafetensorsDType::kUint64, "U64", 8, DType::kUnspecified},
    {SafetensorsDType::kInt64, "I64", 8, DType::kInt64},
    {SafetensorsDType::kFloat8E4m3, "F8_E4M3", 1, DType::kUnspecified},
    {SafetensorsDType::kFloat8E5m2, "F8_E5M2", 1, DType::kUnspecified},
    {SafetensorsDType::kFloat16, "F16", 2, DType::kUnspecified},
    {SafetensorsDType::kBfloat16, "BF16", 2, DType::kUnspecified},
    {SafetensorsDType::kFloat32, "F32", 4, DType::kFloat32},
    {SafetensorsDType::kFloat64, "F64", 8, DType::kUnspecified},
};

const DTypeRow& RowOf(SafetensorsDType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

absl::Status Bad(absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("not a usable safetensors file: ", message));
}

absl::Status BadTensor(const std::string& name, absl::string_view message) {
  return Bad(absl::StrCat("tensor '", name.substr(0, 200), "' ", message));
}

absl::StatusOr<json> ParseHeader(std::string_view header) {
  StrictJson parsed = ParseStrictJson(header);
  if (!parsed.value.is_object()) return Bad("the header is not a JSON object");
  if (!parsed.repeated.empty()) return BadTensor(parsed.repeated, "stands in the header twice");
  return std::move(parsed.value);
}

// The entry's member if it is a list of whole numbers of at least 0, else nothing.
std::optional<std::vector<int64_t>> Naturals(const json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<int64_t> values;
  for (const json& item : *found) {
    if (!item.is_number_unsigned()) return std::nullopt;
    const uint64_t value = item.get<uint64_t>();
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    values.push_back(static_cast<int64_t>(value));
  }
  return values;
}

absl::StatusOr<SafetensorsTensor> ParseTensor(const std::string& name, const json& entry,
                                              std::string_view data) {
  if (!entry.is_object()) return BadTensor(name, "is not described by a JSON object");
  SafetensorsTensor tensor;
  tensor.name = name;

  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) return BadTensor(name, "has no dtype");
  const std::string& dtype_name = dtype->get_ref<const std::string&>();
  const auto row =
      std::find_if(std::begin(kDTypes), std::end(kDTypes),
                   [&](const DTypeRow& candidate) { return candidate.name == dtype_name; });
  if (row == std::end(kDTypes))
    return BadTensor(name, absl::StrCat("has the unknown dtype '", dtype_name, "'"));
  tensor.dtype = row->dtype;

  auto shape = Naturals(entry, "shape");
  if (!shape) return BadTensor(name, "has no shape of whole numbers");
  tensor.shape = *std::move(shape);
  tensor.elements = 1;
  for (const int64_t dimension : tensor.shape) {
    if (__builtin_mul_overflow(tensor.elements, dimension, &tensor.elements)) {
      return BadTensor(name, "has a shape too large to count");
    }
  }

  const auto offsets = Naturals(entry, "data_offsets");
  if (!offsets || offsets->size() != 2) return BadTensor(name, "has no pair of data_offsets");
  const auto [begin, end] = std::pair((*offsets)[0], (*offsets)[1]);
  if (begin > end || end > static_cast<int64_t>(data.size())) {
    return BadTensor(name, absl::StrCat("lies at bytes ", begin, " to ", end, " of ", data.size(),
                                        " that are there"));
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(tensor.elements, static_cast<int64_t>(row->size), &bytes) ||
      bytes != end - begin) {
    return BadTensor(
        name, absl::StrCat("has ", end - begin, " bytes, which does not fit its shape and dtype"));
  }
  tensor.bytes = data.substr(static_cast<size_t>(begin), static_cast<size_t>(bytes));
  return tensor;
}

// Tensors, in order, must cover the data exactly. `tensors` are sorted by where they begin.
absl::Status CheckCoverage(const std::vector<SafetensorsTensor>& tensors, std::string_view data) {
  const char* expected = data.data();
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.bytes.data() != expected) {
      return BadTensor(tensor.name, tensor.bytes.data() < expected ? "overlaps another"
                                                                   : "leaves a hole before it");
    }
    expected += tensor.bytes.size();
  }
  if (expected != data.data() + data.size()) return Bad("bytes at the end belong to no tensor");
  return absl::OkStatus();
}

}  // namespace

size_t SizeOf(SafetensorsDType dtype) { return RowOf(dtype).size; }
std::string_view SafetensorsDTypeName(SafetensorsDType dtype) { return RowOf(dtype).name; }
DType ToDType(SafetensorsDType dtype) { return RowOf(dtype).column; }

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  BIF_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  auto file = std::make_shared<const MappedFile>(std::move(mapped));
  absl::StatusOr<SafetensorsFile> parsed = Parse(file->bytes());
  if (!parsed.ok()) return Annotate(parsed.status(), path);
  parsed->file_ = std::move(file);
  return parsed;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Parse(std::string_view bytes) {
  if (bytes.size() < kLengthBytes)
    return Bad("it is shorter than the 8 bytes of the header's length");
  uint64_t header_bytes = 0;
  for (size_t i = kLengthBytes; i-- > 0;)
    header_bytes = header_bytes << 8 | static_cast<uint8_t>(bytes[i]);
  if (header_bytes > kMaxHeaderBytes) {
    return Bad(absl::StrCat("its header would be ", header_bytes, " bytes long; at most ",
                            kMaxHeaderBytes, " are read"));
  }
  if (header_bytes > bytes.size() - kLengthBytes) {
    return Bad(absl::StrCat("its header of ", header_bytes, " bytes is cut off; the file has ",
                            bytes.size()));
  }
  BIF_ASSIGN_OR_RETURN(const json header, ParseHeader(bytes.substr(kLengthBytes, header_bytes)));
  const std::string_view data = bytes.substr(kLengthBytes + header_bytes);

  SafetensorsFile file;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) return Bad("__metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return Bad("__metadata__ holds something else than strings");
        file.metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    BIF_ASSIGN_OR_RETURN(SafetensorsTensor tensor, ParseTensor(name, entry, data));
    file.tensors_.push_back(std::move(tensor));
  }
  // An empty tensor begins where the next one does: it comes first.
  std::stable_sort(file.tensors_.begin(), file.tensors_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  BIF_RETURN_IF_ERROR(CheckCoverage(file.tensors_, data));
  for (size_t i = 0; i < file.tensors_.size(); ++i) file.by_name_[file.tensors_[i].name] = i;
  return file;
}

const SafetensorsTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace bif
