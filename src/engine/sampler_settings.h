// What a user says of a sampling run. Formulas: docs/attribution.md (arXiv 2509.26544, arXiv
// 1512.07666).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bif::engine {

// The numbers of these enums are stored on disk and equal those of bif.v1.
enum class Algorithm : uint8_t { kSgld = 1, kRmspropSgld = 2 };
enum class BatchOrder : uint8_t { kShuffledEpochs = 1, kWithReplacement = 2, kReplay = 3 };
enum class DrawCodec : uint8_t { kInt8Block = 1, kInt4Block = 2, kBf16 = 3, kFp32 = 4 };

enum class RandomStreams : uint8_t { kPhilox = 1, kDevinterp = 2 };
enum class ComputeType : uint8_t { kFp32 = 1, kBf16 = 2 };

// Globs on parameter names: selected if one of `include` matches (empty: all) and none of
// `exclude`. Presets are names for such globs (parameter_presets.h), selected beside `include`.
struct ParameterFilter {
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::string> presets;
};

struct SamplerSettings {
  Algorithm algorithm = Algorithm::kSgld;
  double step_size = 0;       // eps
  double nbeta = 0;           // multiplies the mean gradient of a batch
  double gamma = 0;           // pull towards w*
  double weight_decay = 0;    // lambda
  double noise_scale = 1;     // sigma
  double rms_decay = 0.99;    // alpha
  double rms_delta = 0.1;     // delta, outside the root
  std::optional<double> box;  // half width around w*
  uint32_t chains = 4;
  uint32_t draws_per_chain = 100;
  uint32_t burn_in_steps = 0;
  uint32_t steps_between_draws = 1;  // 0: AUTO
  uint32_t batch_size = 256;
  uint64_t seed = 0;
  BatchOrder batch_order = BatchOrder::kShuffledEpochs;
  std::vector<std::vector<uint32_t>>
      replay_batches;  // positions in the training rows; step t uses t mod size
  ParameterFilter parameters;
  DrawCodec draw_codec = DrawCodec::kInt8Block;
  RandomStreams random_streams = RandomStreams::kPhilox;
  ComputeType compute = ComputeType::kFp32;
};

}  // namespace bif::engine
