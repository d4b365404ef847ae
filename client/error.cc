#include "client/error.h"

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace bif::client {
namespace {

// Reads the detail of message type M, if the status has one.
template <typename M>
std::optional<M> Detail(const absl::Status& status) {
  std::optional<M> found;
  const std::string suffix = absl::StrCat("/", M::descriptor()->full_name());
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& bytes) {
    M message;
    if (!found && absl::EndsWith(type_url, suffix) && message.ParseFromString(std::string(bytes))) {
      found = std::move(message);
    }
  });
  return found;
}

std::string CodeInWords(absl::StatusCode code) {
  if (code == absl::StatusCode::kUnavailable) return "server unavailable";
  return absl::AsciiStrToLower(absl::StrReplaceAll(absl::StatusCodeToString(code), {{"_", " "}}));
}

}  // namespace

absl::Status StatusFromRpc(const google::rpc::Status& status) {
  const int code = status.code();
  const bool known = code >= 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  absl::Status result(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.message());
  for (const auto& detail : status.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details;
  if (auto info = Detail<google::rpc::ErrorInfo>(status)) {
    details.reason = info->reason();
    details.domain = info->domain();
    details.metadata.insert(info->metadata().begin(), info->metadata().end());
  }
  if (auto bad = Detail<google::rpc::BadRequest>(status)) {
    for (const auto& violation : bad->field_violations()) {
      details.field_violations.push_back({violation.field(), violation.description()});
    }
  }
  if (auto retry = Detail<google::rpc::RetryInfo>(status)) {
    details.retry_delay = absl::Seconds(retry->retry_delay().seconds()) +
                          absl::Nanoseconds(retry->retry_delay().nanos());
  }
  return details;
}

std::string DescribeError(const absl::Status& status) {
  if (status.ok()) return "ok";
  const ErrorDetails details = DetailsOf(status);
  std::string text = CodeInWords(status.code());
  const std::string message(status.message());
  if (!message.empty()) absl::StrAppend(&text, ": ", message);
  for (const FieldViolation& violation : details.field_violations) {
    // Servers often repeat the only violation as the message; saying it once is enough.
    const bool field_said = absl::StrContains(message, violation.field);
    const bool description_said = absl::StrContains(message, violation.description);
    if (field_said && description_said) continue;
    absl::StrAppend(&text, "; ", violation.field, ": ", violation.description);
  }
  if (!details.reason.empty()) absl::StrAppend(&text, " [", details.reason, "]");
  if (details.retry_delay) {
    absl::StrAppend(&text, " (try again in ", absl::FormatDuration(*details.retry_delay), ")");
  }
  return text;
}

}  // namespace bif::client
