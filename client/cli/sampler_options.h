// Sampler settings on the command line: presets, and flags that override them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "bif/v1/types.pb.h"

namespace bif::client {

// What was given on the command line; absent means: the preset's value, else the server's default.
struct SamplerOptions {
  std::vector<std::string> presets;  // of settings, at most one, and of parameters
  v1::SamplerAlgorithm algorithm = v1::SGLD;
  std::optional<double> step_size, nbeta, gamma;
  std::optional<double> weight_decay, noise_scale, rms_decay, rms_delta, box;
  std::optional<uint32_t> chains, draws, burn_in, batch_size;
  std::string steps_between_draws;  // a number or "auto"
  uint64_t seed = 0;
  v1::BatchOrder batch_order = v1::BATCH_ORDER_UNSPECIFIED;
  std::string replay_batches;  // a file
  v1::DrawCodec codec = v1::DRAW_CODEC_UNSPECIFIED;
  v1::RandomStreams random_streams = v1::RANDOM_STREAMS_UNSPECIFIED;
  v1::ComputeType compute = v1::COMPUTE_TYPE_UNSPECIFIED;
  std::vector<std::string> include, exclude;
};

// The settings that the paper used, by name (arXiv 2509.26544, Table 3): vision, language, scaling,
// resnet9, language-b.
const std::map<std::string, v1::SamplerSettings>& SamplerPresets();

// Whether the server has a preset of this name for the parameters that move: attention,
// attention_and_mlp, layer_norm, lora, layer:N.
bool IsParameterPreset(const std::string& name);
extern const char* const kParameterPresets;  // these names, for help

void AddSamplerOptions(CLI::App* command, SamplerOptions& options);

// The preset with everything that was given on the command line over it. A usage error if something
// without a default (step size, nbeta, gamma) is still missing. Reads the file of replayed batches.
absl::StatusOr<v1::SamplerSettings> MakeSamplerSettings(const SamplerOptions& options);

}  // namespace bif::client
