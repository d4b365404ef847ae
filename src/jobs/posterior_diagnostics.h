// A stored posterior's diagnostics: its chains' series from the catalog and a fixed random subset
// of training traces.
#pragma once

#include "absl/status/statusor.h"
#include "src/jobs/posteriors.h"
#include "src/storage/store.h"

namespace bif::jobs {

inline constexpr size_t kDiagnosedTraces = 64;
inline constexpr uint32_t kFewestDiagnosedDraws = 4;  // of every chain

// FAILED_PRECONDITION with fewer than 4 committed draws, unless all chains have diverged. Blocks on
// storage I/O.
absl::StatusOr<PosteriorDiagnostics> DiagnosePosterior(storage::Store& store,
                                                       const storage::pb::PosteriorRecord& record);

// Which parameters of the program a posterior with this filter moves: what its learning coefficient
// is of.
absl::StatusOr<PosteriorDiagnostics::Component> ComponentOf(const engine::ProgramInfo& program,
                                                            const engine::ParameterFilter& filter);

}  // namespace bif::jobs
