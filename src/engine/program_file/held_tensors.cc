#include "src/engine/program_file/held_tensors.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

using Names = std::set<std::string, std::less<>>;

// Adds every value that a node, here or further in, reads.
void AddReadValues(const Graph& graph, Names& values) {
  for (const Node& node : graph.nodes) {
    for (const Argument& input : node.inputs) {
      for (const Element& element : input.elements) values.insert(element.value);
    }
  }
}

absl::Status CheckStored(const HeldTensor& held) {
  if (held.stored == nullptr ||
      (held.stored->dtype == held.dtype && held.stored->sizes == held.shape)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", held.names[0], "' is stored with another dtype or shape ([",
                   absl::StrJoin(held.stored->sizes, ","), "]) than the graph gives it ([",
                   absl::StrJoin(held.shape, ","), "])"));
}

absl::StatusOr<HeldTensor> Describe(const ProgramFile& file, const InputSpec& input,
                                    const Names& read_values) {
  const auto meta = file.graph.tensors.find(input.value);
  if (meta == file.graph.tensors.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", input.name, "' has no dtype and shape in the graph"));
  }
  HeldTensor held;
  held.names = {input.name};
  held.values = {input.value};
  held.dtype = meta->second.dtype;
  for (const Dimension& dimension : meta->second.sizes) {
    if (dimension.size < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", input.name, "' has a size that is no number"));
    }
    held.shape.push_back(dimension.size);
  }
  const bool is_parameter = input.kind == InputKind::kParameter;
  held.trainable = is_parameter && meta->second.requires_grad;
  held.from_weights = is_parameter || (input.kind == InputKind::kBuffer && input.persistent);
  held.used = read_values.count(input.value) > 0;
  const StoredTensors& stored = held.from_weights ? file.weights : file.constants;
  if (const auto found = stored.find(input.name); found != stored.end())
    held.stored = &found->second;
  if (held.stored == nullptr && !held.from_weights && held.used) {
    return absl::InvalidArgumentError(absl::StrCat("'", input.name, "' is not in the archive"));
  }
  BIF_RETURN_IF_ERROR(CheckStored(held));
  if (held.trainable && held.dtype != GraphDType::kFloat) {
    return absl::InvalidArgumentError(
        absl::StrCat("the parameter '", input.name,
                     "' is not float32; call model.float() before torch.export.export"));
  }
  return held;
}

// Tied weights have two names and one place in the archive.
bool JoinTied(std::vector<HeldTensor>& parameters, const HeldTensor& held) {
  if (held.stored == nullptr) return false;
  for (HeldTensor& other : parameters) {
    if (other.stored == nullptr || !other.stored->SameAs(*held.stored)) continue;
    other.names.push_back(held.names[0]);
    other.values.push_back(held.values[0]);
    other.used |= held.used;
    return true;
  }
  return false;
}

}  // namespace

absl::Status ListHeldTensors(const ProgramFile& file, ProgramLayout& layout) {
  Names read_values;
  AddReadValues(file.graph, read_values);
  read_values.insert(file.signature.first_output);
  for (const InputSpec& input : file.signature.inputs) {
    if (input.kind == InputKind::kUserInput || input.kind == InputKind::kConstant) continue;
    BIF_ASSIGN_OR_RETURN(HeldTensor held, Describe(file, input, read_values));
    if (!held.trainable) {
      layout.others.push_back(std::move(held));
    } else if (!JoinTied(layout.parameters, held)) {
      layout.parameters.push_back(std::move(held));
    }
  }
  for (const HeldTensor& parameter : layout.parameters) {
    ParameterInfo info{.name = parameter.names[0], .shape = parameter.shape, .elements = 1};
    for (const int64_t size : info.shape) {
      if (__builtin_mul_overflow(info.elements, size, &info.elements)) {
        return absl::InvalidArgumentError(
            absl::StrCat("the parameter '", info.name, "' is too large to count"));
      }
    }
    layout.info.parameters.push_back(std::move(info));
  }
  if (layout.parameters.empty()) {
    return absl::InvalidArgumentError(
        "the program has no trainable parameters; export the model with requires_grad on those "
        "that may move");
  }
  return absl::OkStatus();
}

}  // namespace bif::engine
