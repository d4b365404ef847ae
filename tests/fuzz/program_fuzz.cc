// .pt2 archives of a stranger, up to the layout that an engine works from: each number that is read
// from a stored tensor lies inside the archive.
#include <vector>

#include "src/engine/program_file/program_layout.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

void CheckTensors(const engine::StoredTensors& tensors, std::string_view archive) {
  for (const auto& [name, tensor] : tensors) {
    fuzz::Require(tensor.sizes.size() == tensor.strides.size(), "a stride for each size");
    fuzz::Require(tensor.storage_offset >= 0, "no element lies before the storage");
    // In 128 bits, so that this sum cannot overflow where the reader's might.
    fuzz::Wide last = tensor.storage_offset;
    fuzz::Wide elements = 1;
    for (size_t d = 0; d < tensor.sizes.size(); ++d) {
      fuzz::Require(tensor.sizes[d] >= 0 && tensor.strides[d] >= 0, "sizes and strides count");
      last += static_cast<fuzz::Wide>(tensor.sizes[d] - 1) * tensor.strides[d];
      elements *= tensor.sizes[d];
    }
    fuzz::Require(elements == tensor.elements, "elements are the product of the sizes");
    if (elements == 0) continue;
    fuzz::Require((last + 1) * static_cast<fuzz::Wide>(engine::SizeOf(tensor.dtype)) <=
                      static_cast<fuzz::Wide>(tensor.bytes.size()),
                  "the last element lies inside the storage");
    fuzz::Require(tensor.bytes.data() >= archive.data() &&
                      tensor.bytes.data() + tensor.bytes.size() <= archive.data() + archive.size(),
                  "the storage lies inside the archive");
  }
}

void CheckLayout(const engine::ProgramFile& file, const engine::ProgramSource& source) {
  const auto layout = engine::LayOut(file, source);
  if (!layout.ok()) {
    fuzz::RequireRefusal(layout.status(), absl::StatusCode::kInvalidArgument);
    return;
  }
  fuzz::Require(layout->parameters.size() == layout->info.parameters.size(),
                "each trainable parameter is listed once");
  for (const engine::ParameterInfo& parameter : layout->info.parameters) {
    fuzz::Wide elements = 1;
    for (const int64_t size : parameter.shape) elements *= size;
    fuzz::Require(elements == parameter.elements, "a parameter has the elements of its shape");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::Input(data, size).rest();
  const auto file = engine::ParseProgramFile(bytes);
  if (!file.ok()) {
    fuzz::RequireRefusal(file.status(), absl::StatusCode::kInvalidArgument);
    return 0;
  }
  CheckTensors(file->weights, bytes);
  CheckTensors(file->constants, bytes);
  // Every user input is bound to a column of its own name.
  engine::ProgramSource source;
  for (const engine::InputSpec& input : file->signature.inputs) {
    if (input.kind == engine::InputKind::kUserInput)
      source.inputs.push_back({.input = input.name, .column = input.name});
  }
  for (const auto loss : {engine::LossKind::kCrossEntropy, engine::LossKind::kSquaredError,
                          engine::LossKind::kProgramLosses, engine::LossKind::kNextToken}) {
    source.loss = loss;
    const bool tokens = loss == engine::LossKind::kNextToken && !source.inputs.empty();
    source.target_column = tokens ? source.inputs[0].column : "label";
    CheckLayout(*file, source);
  }
  return 0;
}
