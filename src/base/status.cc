#include "src/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace bif {
namespace {

constexpr char kFieldUrl[] = "bif/field";
constexpr char kReasonUrl[] = "bif/reason";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::optional<std::string> Payload(const absl::Status& status, const char* url) {
  absl::optional<absl::Cord> payload = status.GetPayload(url);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

}  // namespace

absl::Status FieldError(std::string_view field_path, std::string_view message) {
  absl::Status status =
      absl::InvalidArgumentError(absl::StrCat(View(field_path), ": ", View(message)));
  status.SetPayload(kFieldUrl, absl::Cord(View(field_path)));
  return status;
}

std::optional<std::string> FieldPath(const absl::Status& status) {
  return Payload(status, kFieldUrl);
}

absl::Status WithReason(absl::Status status, std::string_view reason) {
  if (!status.ok()) status.SetPayload(kReasonUrl, absl::Cord(View(reason)));
  return status;
}

std::optional<std::string> Reason(const absl::Status& status) {
  return Payload(status, kReasonUrl);
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(View(context), ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace bif
