// What a finished operation came to.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/error.h"
#include "google/longrunning/operations_proto.pb.h"
#include "google/rpc/status.pb.h"

namespace bif::client {

// The response of type M, or the operation's own error. FAILED_PRECONDITION while it runs.
template <typename M>
absl::StatusOr<M> OperationResult(const google::longrunning::Operation& operation) {
  if (!operation.done()) {
    return absl::FailedPreconditionError(absl::StrCat(operation.name(), " has not finished"));
  }
  if (operation.has_error()) return StatusFromRpc(operation.error());
  M response;
  if (!operation.response().UnpackTo(&response)) {
    return absl::InternalError(absl::StrCat(operation.name(), " answered with ",
                                            operation.response().type_url(), ", not with a ",
                                            M::descriptor()->full_name()));
  }
  return response;
}

}  // namespace bif::client
