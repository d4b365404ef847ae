#include "src/engine/program_file/stored_tensor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/program_file/graph_parser.h"

namespace bif::engine {
namespace {

absl::StatusOr<int64_t> StaticSize(const Json& json, const char* what) {
  BIF_ASSIGN_OR_RETURN(const UnionMember member, AsUnion(json, what));
  if (member.kind != "as_int")
    return absl::InvalidArgumentError(absl::StrCat(what, " is not a number"));
  BIF_ASSIGN_OR_RETURN(const int64_t size, AsInt(*member.value, what));
  if (size < 0) return absl::InvalidArgumentError(absl::StrCat(what, " is negative"));
  return size;
}

absl::Status ParseView(const Json& meta, StoredTensor& tensor) {
  BIF_ASSIGN_OR_RETURN(const TensorMeta parsed, ParseTensorMeta(meta));
  tensor.dtype = parsed.dtype;
  for (const Dimension& dimension : parsed.sizes) {
    if (dimension.size < 0)
      return absl::InvalidArgumentError("a stored tensor has a size that is no number");
    tensor.sizes.push_back(dimension.size);
  }
  BIF_ASSIGN_OR_RETURN(const Json* strides, ArrayField(meta, "strides"));
  for (const Json& item : *strides) {
    BIF_ASSIGN_OR_RETURN(const int64_t stride, StaticSize(item, "stride"));
    tensor.strides.push_back(stride);
  }
  BIF_ASSIGN_OR_RETURN(const Json* offset, Field(meta, "storage_offset"));
  BIF_ASSIGN_OR_RETURN(tensor.storage_offset, StaticSize(*offset, "storage_offset"));
  return absl::OkStatus();
}

// Every element must lie inside the bytes, and there may be no more elements than bytes hold:
// strides of 0 would make a small file fill all memory.
absl::Status CheckBounds(StoredTensor& tensor) {
  const auto too_large = [] {
    return absl::InvalidArgumentError("its shape is too large to count");
  };
  const auto element_bytes = static_cast<int64_t>(SizeOf(tensor.dtype));
  if (element_bytes == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "its dtype (number ", static_cast<int>(tensor.dtype), " of the schema) is not supported"));
  }
  if (tensor.strides.size() != tensor.sizes.size()) {
    return absl::InvalidArgumentError("it has another number of strides than of sizes");
  }
  tensor.elements = 1;
  int64_t last = tensor.storage_offset;  // position of the last element
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    if (__builtin_mul_overflow(tensor.elements, tensor.sizes[i], &tensor.elements))
      return too_large();
    int64_t reach = 0;
    if (tensor.sizes[i] > 1 &&
        (__builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i], &reach) ||
         __builtin_add_overflow(last, reach, &last))) {
      return too_large();
    }
  }
  const int64_t stored = static_cast<int64_t>(tensor.bytes.size()) / element_bytes;
  if (tensor.elements > 0 && (last >= stored || tensor.elements > stored)) {
    return absl::InvalidArgumentError(absl::StrCat("it wants ", std::max(last + 1, tensor.elements),
                                                   " elements where ", stored, " are stored"));
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredTensor> ParseOne(const Json& entry, const std::string& folder,
                                      const ZipArchive& archive) {
  BIF_ASSIGN_OR_RETURN(const bool use_pickle, BoolField(entry, "use_pickle"));
  if (use_pickle) {
    return absl::InvalidArgumentError(
        "it is pickled (use_pickle: true), and nothing is ever unpickled; export plain dense "
        "tensors");
  }
  BIF_ASSIGN_OR_RETURN(const std::string path, StringField(entry, "path_name"));
  const auto found = archive.entries().find(folder + path);
  if (found == archive.entries().end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("its file '", folder, path, "' is not in the archive"));
  }
  BIF_ASSIGN_OR_RETURN(const Json* meta, ObjectField(entry, "tensor_meta"));
  StoredTensor tensor;
  tensor.bytes = found->second;
  BIF_RETURN_IF_ERROR(ParseView(*meta, tensor));
  BIF_RETURN_IF_ERROR(CheckBounds(tensor));
  return tensor;
}

}  // namespace

bool StoredTensor::SameAs(const StoredTensor& other) const {
  return bytes.data() == other.bytes.data() && dtype == other.dtype && sizes == other.sizes &&
         strides == other.strides && storage_offset == other.storage_offset;
}

size_t SizeOf(GraphDType dtype) {
  switch (dtype) {
    case GraphDType::kByte:
    case GraphDType::kChar:
    case GraphDType::kBool:
      return 1;
    case GraphDType::kShort:
    case GraphDType::kHalf:
    case GraphDType::kBfloat16:
      return 2;
    case GraphDType::kInt:
    case GraphDType::kFloat:
      return 4;
    case GraphDType::kLong:
    case GraphDType::kDouble:
      return 8;
    case GraphDType::kUnknown:
      break;
  }
  return 0;
}

absl::StatusOr<StoredTensors> ParseStoredTensors(std::string_view text, const std::string& folder,
                                                 const ZipArchive& archive) {
  BIF_ASSIGN_OR_RETURN(const Json document, ParseJson(text, folder + "...config.json"));
  BIF_ASSIGN_OR_RETURN(const Json* config, ObjectField(document, "config"));
  StoredTensors tensors;
  for (const auto& [name, entry] : config->items()) {
    absl::StatusOr<StoredTensor> tensor = ParseOne(entry, folder, archive);
    if (!tensor.ok()) return Annotate(tensor.status(), absl::StrCat("stored tensor '", name, "'"));
    tensors.emplace(name, *std::move(tensor));
  }
  return tensors;
}

}  // namespace bif::engine
