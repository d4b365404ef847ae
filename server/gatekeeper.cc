#include "server/gatekeeper.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/tenant_names.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

constexpr std::string_view kScheme = "Bearer ";

std::string MetadataOf(const grpc::CallbackServerContext& context, const char* key) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

// version-traceid-parent-flags (W3C Trace Context, 3.2); an invalid one counts as none.
std::string TraceIdOf(const std::string& traceparent) {
  constexpr size_t kBegin = 3, kDigits = 32, kLength = 55;
  if (traceparent.size() < kLength || traceparent[2] != '-' || traceparent[kBegin + kDigits] != '-')
    return "";
  const std::string id = traceparent.substr(kBegin, kDigits);
  const bool valid = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  return valid && id != std::string(kDigits, '0') ? id : "";
}

const char* RoleName(jobs::Role role) {
  switch (role) {
    case jobs::Role::kRead:
      return "READ";
    case jobs::Role::kSubmit:
      return "SUBMIT";
    case jobs::Role::kAdmin:
      return "ADMIN";
  }
  return "no role";
}

}  // namespace

absl::StatusOr<Caller> Gatekeeper::Identify(const grpc::CallbackServerContext& context) const {
  Caller caller;
  caller.trace_id = TraceIdOf(MetadataOf(context, "traceparent"));
  const std::string authorization = MetadataOf(context, "authorization");
  if (!authorization.empty()) {
    if (!absl::StartsWith(authorization, absl::string_view(kScheme.data(), kScheme.size()))) {
      return WithReason(absl::UnauthenticatedError(
                            "the authorization must be 'Bearer ' and a token of this server"),
                        "TOKEN_UNKNOWN");
    }
    BIF_ASSIGN_OR_RETURN(const jobs::Token token,
                         tenants_.Authenticate(authorization.substr(kScheme.size())));
    caller.tenant = token.tenant;
    caller.role = token.role;
    caller.token_id = token.id;
    return caller;
  }
  const bool is_operator = absl::StartsWith(context.peer(), "unix:");
  if (tokens_required_ && !is_operator) {
    return WithReason(absl::UnauthenticatedError(
                          "a token is needed: send it as 'authorization: Bearer ...'; bifctl takes "
                          "it from BIF_TOKEN or --token"),
                      "TOKEN_MISSING");
  }
  caller.role = jobs::Role::kAdmin;
  return caller;
}

absl::StatusOr<Caller> Gatekeeper::Admit(const grpc::CallbackServerContext& context,
                                         const std::string& method) {
  BIF_ASSIGN_OR_RETURN(Caller caller, Identify(context));
  const MethodRule rule = RuleOf(method).value_or(MethodRule{});
  if (caller.role < rule.role) {
    return absl::PermissionDeniedError(absl::StrCat("this needs the role ", RoleName(rule.role),
                                                    "; your token has ", RoleName(caller.role)));
  }
  BIF_RETURN_IF_ERROR(admission_.AdmitRequest(caller.tenant));
  return caller;
}

absl::Status Gatekeeper::Qualify(const Caller& caller, const std::string& method,
                                 google::protobuf::Message& request) const {
  return QualifyNames(caller, tenants_, RuleOf(method).value_or(MethodRule{}).reads_shared,
                      request);
}

}  // namespace bif::server
