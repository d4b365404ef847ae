// Posteriors and diagnostics as text.
#pragma once

#include <string>

#include "client/cli/session.h"

namespace bif::client {

void PrintPosterior(Session& session, const v1::Posterior& posterior);
void PrintDiagnostics(Session& session, const v1::Diagnostics& diagnostics);
void PrintCostEstimate(Session& session, const google::longrunning::Operation& operation);

// "layer_norm, head.* without head.bias"; "all".
std::string ComponentText(const v1::Component& component);

// What a run is to reach and how far it is; empty for one without a target.
std::string TargetText(const v1::Stopping& stopping);

// "2 chains x 100 draws"; says which chains diverged.
std::string ChainsText(const v1::Posterior& posterior);

}  // namespace bif::client
