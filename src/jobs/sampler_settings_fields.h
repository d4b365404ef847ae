// What the two messages of sampler settings, the stored one and the API's, do alike: fields of the
// same name and meaning. They differ in enums, in what may be left out and in its defaults, so that
// each keeps its own conversion for those.
#pragma once

#include <string>
#include <vector>

#include "src/engine/sampler_settings.h"

namespace bif::jobs {

// Sets every field but the enums and `box`.
template <typename Message>
void WriteCommonFields(const engine::SamplerSettings& settings, Message& message) {
  message.set_step_size(settings.step_size);
  message.set_nbeta(settings.nbeta);
  message.set_gamma(settings.gamma);
  message.set_weight_decay(settings.weight_decay);
  message.set_noise_scale(settings.noise_scale);
  message.set_rms_decay(settings.rms_decay);
  message.set_rms_delta(settings.rms_delta);
  message.set_chains(settings.chains);
  message.set_draws_per_chain(settings.draws_per_chain);
  message.set_burn_in_steps(settings.burn_in_steps);
  message.set_steps_between_draws(settings.steps_between_draws);
  message.set_batch_size(settings.batch_size);
  message.set_seed(settings.seed);
  for (const std::vector<uint32_t>& batch : settings.replay_batches) {
    message.add_replay_batches()->mutable_indices()->Assign(batch.begin(), batch.end());
  }
  for (const std::string& glob : settings.parameters.include)
    message.mutable_parameters()->add_include(glob);
  for (const std::string& glob : settings.parameters.exclude)
    message.mutable_parameters()->add_exclude(glob);
  for (const std::string& preset : settings.parameters.presets)
    message.mutable_parameters()->add_presets(preset);
}

template <typename Message>
engine::ParameterFilter ReadFilter(const Message& message) {
  return {{message.include().begin(), message.include().end()},
          {message.exclude().begin(), message.exclude().end()},
          {message.presets().begin(), message.presets().end()}};
}

// Reads the fields for which an unset one means its zero in both.
template <typename Message>
void ReadCommonFields(const Message& message, engine::SamplerSettings& settings) {
  settings.step_size = message.step_size();
  settings.nbeta = message.nbeta();
  settings.gamma = message.gamma();
  settings.weight_decay = message.weight_decay();
  settings.burn_in_steps = message.burn_in_steps();
  settings.seed = message.seed();
  for (const auto& batch : message.replay_batches()) {
    settings.replay_batches.emplace_back(batch.indices().begin(), batch.indices().end());
  }
  settings.parameters = ReadFilter(message.parameters());
}

}  // namespace bif::jobs
