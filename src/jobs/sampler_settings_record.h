// Sampler settings between memory and disk, and their canonical bytes, which go into a posterior's
// key. Pure functions.
#pragma once

#include <string>

#include "src/engine/engine.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

storage::pb::SamplerSettings ToRecord(const engine::SamplerSettings& settings);
engine::SamplerSettings FromRecord(const storage::pb::SamplerSettings& record);

storage::pb::ExecutionPlan ToRecord(const engine::ExecutionPlan& plan,
                                    const engine::EngineInfo& info);
engine::ExecutionPlan FromRecord(const storage::pb::ExecutionPlan& record);

// The same bytes for settings that sample the same chains. Settings that the algorithm or batch
// order does not use are left out, and so is draws_per_chain: more draws continue the same chains.
std::string CanonicalSettings(const engine::SamplerSettings& settings);

// SHA-256 in hex over what decides a posterior.
std::string PosteriorKeyOf(const std::string& checkpoint_digest,
                           const std::string& training_data_digest,
                           const engine::SamplerSettings& settings);

}  // namespace bif::jobs
