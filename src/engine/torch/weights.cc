#include "src/engine/torch/weights.h"

#include <ATen/ATen.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/graph_dtypes.h"
#include "src/engine/torch/tensor_bytes.h"

namespace bif::engine {
namespace {

constexpr size_t kNamesShown = 5;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

bool IsFloat(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kDouble || dtype == at::kHalf ||
         dtype == at::kBFloat16;
}

// The first few complaints and how many there are.
absl::Status Summarise(const std::vector<std::string>& complaints) {
  if (complaints.empty()) return absl::OkStatus();
  const size_t shown = std::min(kNamesShown, complaints.size());
  std::string text = absl::StrJoin(complaints.begin(),
                                   complaints.begin() + static_cast<std::ptrdiff_t>(shown), "; ");
  if (shown < complaints.size())
    absl::StrAppend(&text, "; and ", complaints.size() - shown, " more");
  return absl::InvalidArgumentError(absl::StrCat("the weights do not fit the program: ", text));
}

template <typename Function>
void ForEachHeld(const ProgramLayout& layout, Function function) {
  for (const HeldTensor& held : layout.parameters) function(held);
  for (const HeldTensor& held : layout.others) function(held);
}

}  // namespace

bool IsWanted(const HeldTensor& held) { return held.from_weights && (held.trainable || held.used); }

absl::StatusOr<WeightReader> WeightReader::Open(const ProgramLayout& layout,
                                                const WeightsSource& source) {
  std::vector<std::shared_ptr<const SafetensorsFile>> files;
  for (const std::string& path : source.safetensors_paths) {
    BIF_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
    files.push_back(std::make_shared<const SafetensorsFile>(std::move(file)));
  }
  WeightReader reader(std::move(files));
  BIF_RETURN_IF_ERROR(reader.CheckNames(layout));
  return reader;
}

const SafetensorsTensor* WeightReader::Find(const std::string& name) const {
  for (const auto& file : files_) {
    if (const SafetensorsTensor* found = file->Find(name)) return found;
  }
  return nullptr;
}

const SafetensorsTensor* WeightReader::Find(const HeldTensor& held) const {
  for (const std::string& name : held.names) {
    if (const SafetensorsTensor* found = Find(name)) return found;
  }
  return nullptr;
}

// What is wrong with one wanted tensor, "" if nothing.
std::string WeightReader::Mismatch(const HeldTensor& held) const {
  const std::string& name = held.names[0];
  if (files_.empty()) {
    return held.stored == nullptr ? absl::StrCat("'", name, "' is not in the archive") : "";
  }
  const SafetensorsTensor* found = Find(held);
  if (found == nullptr) return absl::StrCat("'", name, "' is missing");
  if (found->shape != held.shape) {
    return absl::StrCat("'", found->name, "' is ", ShapeText(found->shape), " where ",
                        ShapeText(held.shape), " is wanted");
  }
  const std::optional<at::ScalarType> dtype = ToScalarType(found->dtype);
  const std::optional<at::ScalarType> wanted = ToScalarType(held.dtype);
  if (!dtype || !wanted || (*dtype != *wanted && !(IsFloat(*dtype) && IsFloat(*wanted)))) {
    return absl::StrCat(
        "'", found->name, "' has the dtype ", std::string(SafetensorsDTypeName(found->dtype)),
        ", which does not convert to ", wanted ? at::toString(*wanted) : "the program's");
  }
  for (const std::string& alias :
       held.names) {  // tied: one parameter, so all names must say the same
    const SafetensorsTensor* other = Find(alias);
    if (other != nullptr && (other->dtype != found->dtype || other->bytes != found->bytes)) {
      return absl::StrCat("'", found->name, "' and '", alias,
                          "' are one tied parameter but differ");
    }
  }
  return "";
}

absl::Status WeightReader::CheckNames(const ProgramLayout& layout) const {
  std::vector<std::string> complaints;
  std::set<std::string, std::less<>> known;
  ForEachHeld(layout, [&](const HeldTensor& held) {
    known.insert(held.names.begin(), held.names.end());
    if (!IsWanted(held)) return;
    if (std::string complaint = Mismatch(held); !complaint.empty())
      complaints.push_back(std::move(complaint));
  });
  std::set<std::string_view> seen;
  for (const auto& file : files_) {
    for (const SafetensorsTensor& tensor : file->tensors()) {
      if (known.count(tensor.name) == 0)
        complaints.push_back(absl::StrCat("'", tensor.name, "' is not in the program"));
      if (!seen.insert(tensor.name).second)
        complaints.push_back(absl::StrCat("'", tensor.name, "' is in two files"));
    }
  }
  return Summarise(complaints);
}

absl::StatusOr<at::Tensor> WeightReader::Read(const HeldTensor& held) const {
  const std::string& name = held.names[0];
  return CatchTorch(absl::StrCat("'", name, "'"), [&]() -> absl::StatusOr<at::Tensor> {
    const at::NoGradGuard no_grad;
    at::Tensor tensor;
    if (files_.empty() || !held.from_weights) {
      if (held.stored == nullptr)
        return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not in the archive"));
      tensor = CopyTensor(*held.stored);
    } else {
      const SafetensorsTensor* found = Find(held);
      if (found == nullptr)
        return absl::InvalidArgumentError(absl::StrCat("'", name, "' is missing"));
      tensor = CopyTensor(*found, *ToScalarType(found->dtype)).to(*ToScalarType(held.dtype));
    }
    if (held.from_weights && tensor.is_floating_point() && !tensor.isfinite().all().item<bool>()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' holds a value that is not finite"));
    }
    return tensor;
  });
}

absl::StatusOr<std::string> DigestWeights(const ProgramLayout& layout, const WeightReader& reader) {
  Sha256 digest;
  absl::Status status;
  ForEachHeld(layout, [&](const HeldTensor& held) {
    if (!status.ok() || !IsWanted(held)) return;
    const absl::StatusOr<at::Tensor> tensor = reader.Read(held);
    if (!tensor.ok()) {
      status = tensor.status();
      return;
    }
    digest.UpdateField(held.names[0]);
    digest.UpdateU64(static_cast<uint64_t>(held.dtype));
    digest.UpdateU64(held.shape.size());
    for (const int64_t size : held.shape) digest.UpdateU64(static_cast<uint64_t>(size));
    digest.UpdateField({static_cast<const char*>(tensor->const_data_ptr()), tensor->nbytes()});
  });
  BIF_RETURN_IF_ERROR(status);
  return ToHex(digest.Finish());
}

}  // namespace bif::engine
