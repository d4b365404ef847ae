#include "client/cli/names.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/session.h"
#include "client/status_macros.h"

namespace bif::client {

std::string Qualified(const std::string& collection, const std::string& name) {
  const std::string prefix = collection + "/";
  return name.empty() || absl::StartsWith(name, prefix) ? name : prefix + name;
}

std::string ShortName(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

absl::StatusOr<SampleReference> ParseSampleReference(const std::string& text) {
  std::string rest = text;
  if (absl::StartsWith(rest, "datasets/")) rest = rest.substr(9);
  std::pair<std::string, std::string> parts =
      absl::StrSplit(rest, absl::MaxSplits(absl::ByString("/"), 1));
  if (absl::StartsWith(parts.second, "samples/")) parts.second = parts.second.substr(8);
  if (parts.first.empty() || parts.second.empty()) {
    return UsageError(absl::StrCat("a sample is named DATASET/ID, not '", text, "'"));
  }
  return SampleReference{Qualified("datasets", parts.first), parts.second};
}

absl::StatusOr<v1::SampleSet> ParseSampleSet(const std::vector<std::string>& references) {
  v1::SampleSet set;
  bool all = false;
  for (const std::string& text : references) {
    CLIENT_ASSIGN_OR_RETURN(const SampleReference reference, ParseSampleReference(text));
    if (!set.dataset().empty() && set.dataset() != reference.dataset) {
      return UsageError(absl::StrCat("samples of one dataset at a time: '", text, "' is not of ",
                                     ShortName(set.dataset())));
    }
    set.set_dataset(reference.dataset);
    if (reference.sample_id == "*") {
      all = true;
    } else {
      set.add_sample_ids(reference.sample_id);
    }
  }
  if (all) set.clear_sample_ids();
  return set;
}

absl::StatusOr<v1::TensorSpec> ParseColumn(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  const auto wrong = [&] {
    return UsageError(absl::StrCat(
        "a column is NAME:DTYPE[:D1,D2,...] with dtype uint8, int32, int64, float32 or bool, and ? "
        "as D1 for samples of any length, not '",
        text, "'"));
  };
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty()) return wrong();
  v1::TensorSpec spec;
  spec.set_name(parts[0]);
  v1::DType dtype;
  if (!v1::DType_Parse(absl::AsciiStrToUpper(parts[1]), &dtype) || dtype == v1::DTYPE_UNSPECIFIED) {
    return wrong();
  }
  spec.set_dtype(dtype);
  if (parts.size() == 3 && !parts[2].empty()) {
    for (const auto& dimension : absl::StrSplit(parts[2], ',')) {
      int64_t size = 0;
      if (dimension == "?" && spec.shape_size() == 0) {
        size = -1;
      } else if (!absl::SimpleAtoi(dimension, &size) || size < 1) {
        return wrong();
      }
      spec.add_shape(size);
    }
  }
  return spec;
}

absl::StatusOr<std::pair<std::string, std::string>> ParseAssignment(const std::string& text) {
  std::pair<std::string, std::string> sides =
      absl::StrSplit(text, absl::MaxSplits(absl::ByString("="), 1));
  if (sides.first.empty() || sides.second.empty()) {
    return UsageError(absl::StrCat("expected NAME=VALUE, not '", text, "'"));
  }
  return sides;
}

}  // namespace bif::client
