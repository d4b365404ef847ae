// Posteriors and diagnostics as text.
#pragma once

#include "client/cli/session.h"

namespace bif::client {

void PrintPosterior(Session& session, const v1::Posterior& posterior);
void PrintDiagnostics(Session& session, const v1::Diagnostics& diagnostics);
void PrintCostEstimate(Session& session, const google::longrunning::Operation& operation);

// "2 chains x 100 draws"; says which chains diverged.
std::string ChainsText(const v1::Posterior& posterior);

}  // namespace bif::client
