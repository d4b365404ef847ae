// Waits for operations and shows how far they are.
#pragma once

#include "absl/status/statusor.h"
#include "client/cli/progress.h"
#include "client/cli/session.h"
#include "google/longrunning/operations_proto.pb.h"

namespace bif::client {

// What an operation's metadata says about its progress.
ProgressState ProgressOf(const google::longrunning::Operation& operation);

// Watches until the operation is done, with a progress bar; returns it then.
absl::StatusOr<google::longrunning::Operation> Follow(Session& session,
                                                      google::longrunning::Operation operation);

// Prints an operation that was started and not waited for, and how to follow it.
void PrintStarted(Session& session, const google::longrunning::Operation& operation);

// "running", "done" or "failed: ..." .
std::string OperationStateText(const google::longrunning::Operation& operation);

}  // namespace bif::client
