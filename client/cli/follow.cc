#include "client/cli/follow.h"

#include "absl/strings/str_cat.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "client/cli/names.h"
#include "client/cli/output.h"
#include "client/cli/posterior_output.h"
#include "client/error.h"
#include "google/rpc/status.pb.h"

namespace bif::client {

using google::longrunning::Operation;

ProgressState ProgressOf(const Operation& operation) {
  ProgressState state;
  v1::PosteriorProgress posterior;
  v1::TraceProgress trace;
  state.unit = "draws";
  if (operation.metadata().UnpackTo(&posterior)) {
    state.stage = posterior.stage();
    state.done = posterior.draws_done();
    state.total = posterior.draws_total();
    state.rate = posterior.draws_per_second();
    if (posterior.ess_bulk() > 0)
      state.note = absl::StrCat("worth ", Number(posterior.ess_bulk()), " independent ones");
    if (posterior.has_stopping()) state.note = TargetText(posterior.stopping());
    if (posterior.has_remaining()) {
      state.remaining = absl::Seconds(posterior.remaining().seconds()) +
                        absl::Nanoseconds(posterior.remaining().nanos());
    }
  } else if (operation.metadata().UnpackTo(&trace)) {
    state.stage = trace.stage();
    state.done = trace.draws_done();
    state.total = trace.draws_total();
    state.rate = trace.draws_per_second();
  }
  if (state.stage.empty()) state.stage = operation.done() ? "done" : "running";
  return state;
}

absl::StatusOr<Operation> Follow(Session& session, Operation operation) {
  if (operation.done()) return operation;
  Progress progress(session);
  progress.Update(ProgressOf(operation));
  return session.client().WatchOperation(operation.name(), 0,
                                         [&](const v1::WatchOperationResponse& change) {
                                           progress.Update(ProgressOf(change.operation()));
                                         });
}

void PrintStarted(Session& session, const Operation& operation) {
  if (session.json) return PrintJson(session.out, operation);
  session.out << operation.name() << "\n";
  if (!session.quiet) {
    session.err << "follow it with: bifctl operation watch " << ShortName(operation.name()) << "\n";
  }
}

std::string OperationStateText(const Operation& operation) {
  if (!operation.done()) return "running";
  if (!operation.has_error()) return "done";
  return "failed: " + DescribeError(StatusFromRpc(operation.error()));
}

}  // namespace bif::client
