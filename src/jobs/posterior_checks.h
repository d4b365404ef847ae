// Everything that can be said against a posterior before it runs. Reads the catalog and samples;
// changes nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/jobs/posterior_context.h"

namespace bif::jobs {

// A spec whose names, columns, settings and filter are in order.
struct CheckedPosterior {
  std::string key;
  std::string checkpoint_digest;
  Checkpoints::Sources sources;
  storage::pb::DatasetRecord dataset;
  engine::MovingSet moving;
  std::vector<uint32_t> training_ordinals;
  // The losses of the training rows' tokens are kept too.
  bool token_traces = false;
  storage::TraceType token_trace_type = storage::TraceType::kFloat32;
};
absl::StatusOr<CheckedPosterior> CheckPosterior(const PosteriorContext& context,
                                                const PosteriorSpec& spec);

// Reads all labels of a classification program's training rows, each of which must be a class, or
// all sequences of a language model's: what a row gets wrong is a field error that names the
// sample.
absl::Status CheckTargets(const PosteriorContext& context, const CheckedPosterior& checked);

// Of `draws` more draws a chain, at which `carried_rows` other rows are evaluated too.
CostEstimate EstimateCost(const PosteriorContext& context, const CheckedPosterior& checked,
                          const engine::SamplerSettings& settings, uint32_t draws,
                          int64_t carried_rows = 0);

// Rows of one step's batch of one chain.
int64_t GradientRows(const engine::SamplerSettings& settings);

// RESOURCE_EXHAUSTED, with the numbers, if the device's limit or the disk has no room for it.
absl::Status CheckRoom(const PosteriorContext& context, const CostEstimate& estimate);

// The longest segment, in draws of every chain: what the tile buffer holds, at most a tile's draws.
uint32_t MaxSegmentDraws(const Posteriors::Options& options, int64_t training_rows, uint32_t chains,
                         uint64_t encoded_draw_bytes);

}  // namespace bif::jobs
