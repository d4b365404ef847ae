// Lets calls in: says who the caller is, whether they may use the method, and whether they come too
// often.
//
// A caller is known by a bearer token in the metadata ("authorization: Bearer bif_..."). Who comes
// through the operator's socket, a file that only the daemon's user may open, is an administrator.
// Without a token a caller is an administrator of the default tenant, unless tokens are required:
// that is for a daemon of one person on their own machine.
//
// Never blocks. Thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "server/caller.h"
#include "server/method_rules.h"
#include "src/jobs/admission.h"
#include "src/jobs/tenants.h"

namespace grpc {
class CallbackServerContext;
}

namespace bif::server {

class Gatekeeper {
 public:
  // Both must outlive it.
  Gatekeeper(const jobs::Tenants& tenants, jobs::Admission& admission, bool tokens_required)
      : tenants_(tenants), admission_(admission), tokens_required_(tokens_required) {}

  // UNAUTHENTICATED without a valid token where one is needed, PERMISSION_DENIED if the role does
  // not reach, RESOURCE_EXHAUSTED above the tenant's rate.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context,
                               const std::string& method);

  // Names in the request become the caller's tenant's.
  absl::Status Qualify(const Caller& caller, const std::string& method,
                       google::protobuf::Message& request) const;

 private:
  absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context) const;

  const jobs::Tenants& tenants_;
  jobs::Admission& admission_;
  const bool tokens_required_;
};

}  // namespace bif::server
