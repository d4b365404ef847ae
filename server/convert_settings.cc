#include "server/convert_settings.h"

#include "server/convert_common.h"
#include "src/base/status.h"

namespace bif::server {

using engine::SamplerSettings;

engine::ParameterFilter FromProto(const v1::ParameterFilter& proto) {
  return {.include = Strings(proto.include()),
          .exclude = Strings(proto.exclude()),
          .presets = Strings(proto.presets())};
}

absl::StatusOr<SamplerSettings> FromProto(const v1::SamplerSettings& proto,
                                          const std::string& path) {
  SamplerSettings settings;  // holds the defaults
  BIF_ASSIGN_OR_RETURN(
      settings.algorithm,
      EnumFromProto(proto.algorithm(), v1::SamplerAlgorithm_IsValid(proto.algorithm()),
                    settings.algorithm, path + ".algorithm"));
  BIF_ASSIGN_OR_RETURN(
      settings.batch_order,
      EnumFromProto(proto.batch_order(), v1::BatchOrder_IsValid(proto.batch_order()),
                    settings.batch_order, path + ".batch_order"));
  BIF_ASSIGN_OR_RETURN(settings.draw_codec,
                       EnumFromProto(proto.draw_codec(), v1::DrawCodec_IsValid(proto.draw_codec()),
                                     settings.draw_codec, path + ".draw_codec"));
  BIF_ASSIGN_OR_RETURN(
      settings.random_streams,
      EnumFromProto(proto.random_streams(), v1::RandomStreams_IsValid(proto.random_streams()),
                    settings.random_streams, path + ".random_streams"));
  BIF_ASSIGN_OR_RETURN(settings.compute,
                       EnumFromProto(proto.compute(), v1::ComputeType_IsValid(proto.compute()),
                                     settings.compute, path + ".compute"));
  settings.step_size = proto.step_size();
  settings.nbeta = proto.nbeta();
  settings.gamma = proto.gamma();
  settings.weight_decay = proto.weight_decay();
  if (proto.has_noise_scale()) settings.noise_scale = proto.noise_scale();
  if (proto.has_rms_decay()) settings.rms_decay = proto.rms_decay();
  if (proto.has_rms_delta()) settings.rms_delta = proto.rms_delta();
  if (proto.has_box()) settings.box = proto.box();
  if (proto.chains() != 0) settings.chains = proto.chains();
  if (proto.draws_per_chain() != 0) settings.draws_per_chain = proto.draws_per_chain();
  settings.burn_in_steps = proto.burn_in_steps();
  if (proto.has_steps_between_draws()) settings.steps_between_draws = proto.steps_between_draws();
  if (proto.batch_size() != 0) settings.batch_size = proto.batch_size();
  settings.seed = proto.seed();
  for (const v1::IndexBatch& batch : proto.replay_batches()) {
    settings.replay_batches.emplace_back(batch.indices().begin(), batch.indices().end());
  }
  settings.parameters = FromProto(proto.parameters());
  return settings;
}

void ToProto(const SamplerSettings& settings, v1::SamplerSettings* proto) {
  proto->set_algorithm(static_cast<v1::SamplerAlgorithm>(settings.algorithm));
  proto->set_step_size(settings.step_size);
  proto->set_nbeta(settings.nbeta);
  proto->set_gamma(settings.gamma);
  proto->set_weight_decay(settings.weight_decay);
  proto->set_noise_scale(settings.noise_scale);
  proto->set_rms_decay(settings.rms_decay);
  proto->set_rms_delta(settings.rms_delta);
  if (settings.box.has_value()) proto->set_box(*settings.box);
  proto->set_chains(settings.chains);
  proto->set_draws_per_chain(settings.draws_per_chain);
  proto->set_burn_in_steps(settings.burn_in_steps);
  proto->set_steps_between_draws(settings.steps_between_draws);
  proto->set_batch_size(settings.batch_size);
  proto->set_seed(settings.seed);
  proto->set_batch_order(static_cast<v1::BatchOrder>(settings.batch_order));
  for (const std::vector<uint32_t>& batch : settings.replay_batches) {
    proto->add_replay_batches()->mutable_indices()->Assign(batch.begin(), batch.end());
  }
  for (const std::string& glob : settings.parameters.include)
    proto->mutable_parameters()->add_include(glob);
  for (const std::string& glob : settings.parameters.exclude)
    proto->mutable_parameters()->add_exclude(glob);
  for (const std::string& preset : settings.parameters.presets)
    proto->mutable_parameters()->add_presets(preset);
  proto->set_draw_codec(static_cast<v1::DrawCodec>(settings.draw_codec));
  proto->set_random_streams(static_cast<v1::RandomStreams>(settings.random_streams));
  proto->set_compute(static_cast<v1::ComputeType>(settings.compute));
}

}  // namespace bif::server
