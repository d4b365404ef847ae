#include "client/load/mix.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/status_macros.h"

namespace bif::client::load {
namespace {

constexpr uint64_t kMaxWeight = 1'000'000;

std::optional<Method> MethodOf(absl::string_view name) {
  for (const Method method : kMethods) {
    if (MethodName(method) == name) return method;
  }
  return std::nullopt;
}

absl::StatusOr<MixPart> ParsePart(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::optional<Method> method = MethodOf(halves.first);
  if (!method) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", halves.first, "' is no call; there are stored-top-k, new-query, health"));
  }
  uint64_t weight = 1;
  const bool has_weight = text.find('=') != absl::string_view::npos;
  if (has_weight && (!absl::SimpleAtoi(halves.second, &weight) || weight > kMaxWeight)) {
    return absl::InvalidArgumentError(absl::StrCat("the weight of ", halves.first,
                                                   " must be a whole number from 0 to ", kMaxWeight,
                                                   ", not '", halves.second, "'"));
  }
  return MixPart{*method, weight};
}

}  // namespace

absl::string_view MethodName(Method method) {
  switch (method) {
    case Method::kStoredTopK:
      return "stored-top-k";
    case Method::kNewQuery:
      return "new-query";
    case Method::kHealth:
      return "health";
  }
  return "";
}

absl::StatusOr<Mix> ParseMix(absl::string_view text) {
  Mix mix;
  for (const absl::string_view word : absl::StrSplit(text, ',')) {
    CLIENT_ASSIGN_OR_RETURN(const MixPart part, ParsePart(word));
    if (Contains(mix, part.method)) {
      return absl::InvalidArgumentError(absl::StrCat(MethodName(part.method), " comes twice"));
    }
    mix.push_back(part);
  }
  std::erase_if(mix, [](const MixPart& part) { return part.weight == 0; });
  if (mix.empty()) return absl::InvalidArgumentError("the mix has no call with a weight above 0");
  return mix;
}

bool Contains(const Mix& mix, Method method) {
  return std::any_of(mix.begin(), mix.end(),
                     [&](const MixPart& part) { return part.method == method; });
}

Method Pick(const Mix& mix, Random& random) {
  uint64_t total = 0;
  for (const MixPart& part : mix) total += part.weight;
  uint64_t at = random.Below(total);
  for (const MixPart& part : mix) {
    if (at < part.weight) return part.method;
    at -= part.weight;
  }
  return mix.back().method;
}

}  // namespace bif::client::load
