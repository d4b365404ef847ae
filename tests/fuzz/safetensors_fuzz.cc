// Safetensors files of a stranger: tensors cover the data without overlap and hole, and written
// down again they are read as the same.
#include <nlohmann/json.hpp>

#include "src/base/safetensors.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

std::string Written(const SafetensorsFile& file) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    header[tensor.name] = {{"dtype", SafetensorsDTypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  if (!file.metadata().empty()) header["__metadata__"] = file.metadata();
  const std::string text = header.dump();
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text + data;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::Input(data, size).rest();
  const auto file = SafetensorsFile::Parse(bytes);
  if (!file.ok()) {
    fuzz::RequireRefusal(file.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  size_t covered = 0;
  for (const SafetensorsTensor& tensor : file->tensors()) {
    fuzz::Wide elements = 1;
    for (const int64_t dimension : tensor.shape) elements *= dimension;
    fuzz::Require(elements == tensor.elements, "elements are the product of the shape");
    fuzz::Require(
        tensor.bytes.size() == static_cast<size_t>(tensor.elements) * SizeOf(tensor.dtype),
        "bytes fit elements and dtype");
    fuzz::Require(tensor.bytes.data() >= bytes.data() &&
                      tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size(),
                  "a tensor lies inside the file");
    fuzz::Require(file->Find(tensor.name) == &tensor, "a tensor is found by its name");
    covered += tensor.bytes.size();
  }
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  fuzz::Require(covered == bytes.size() - sizeof(header) - header, "no byte belongs to no tensor");

  const std::string text = Written(*file);
  const auto again = SafetensorsFile::Parse(text);
  fuzz::Require(again.ok(), "what was read, written down again, is read");
  fuzz::Require(
      again->metadata() == file->metadata() && again->tensors().size() == file->tensors().size(),
      "and is the same");
  for (const SafetensorsTensor& tensor : file->tensors()) {
    const SafetensorsTensor* const other = again->Find(tensor.name);
    fuzz::Require(other != nullptr && other->dtype == tensor.dtype &&
                      other->shape == tensor.shape && other->bytes == tensor.bytes,
                  "each tensor is the same");
  }
  return 0;
}
