#include "server/convert_settings.h"

#include "server/convert_common.h"
#include "src/base/status.h"
#include "src/jobs/sampler_settings_fields.h"

namespace bif::server {

using engine::SamplerSettings;

engine::ParameterFilter FromProto(const v1::ParameterFilter& proto) {
  return jobs::ReadFilter(proto);
}

absl::StatusOr<SamplerSettings> FromProto(const v1::SamplerSettings& proto,
                                          const std::string& path) {
  SamplerSettings settings;  // holds the defaults
  jobs::ReadCommonFields(proto, settings);
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
  if (proto.has_noise_scale()) settings.noise_scale = proto.noise_scale();
  if (proto.has_rms_decay()) settings.rms_decay = proto.rms_decay();
  if (proto.has_rms_delta()) settings.rms_delta = proto.rms_delta();
  if (proto.has_box()) settings.box = proto.box();
  if (proto.chains() != 0) settings.chains = proto.chains();
  if (proto.draws_per_chain() != 0) settings.draws_per_chain = proto.draws_per_chain();
  if (proto.has_steps_between_draws()) settings.steps_between_draws = proto.steps_between_draws();
  if (proto.batch_size() != 0) settings.batch_size = proto.batch_size();
  return settings;
}

void ToProto(const engine::ParameterFilter& filter, v1::ParameterFilter* proto) {
  proto->mutable_include()->Assign(filter.include.begin(), filter.include.end());
  proto->mutable_exclude()->Assign(filter.exclude.begin(), filter.exclude.end());
  proto->mutable_presets()->Assign(filter.presets.begin(), filter.presets.end());
}

void ToProto(const SamplerSettings& settings, v1::SamplerSettings* proto) {
  jobs::WriteCommonFields(settings, *proto);
  proto->set_algorithm(static_cast<v1::SamplerAlgorithm>(settings.algorithm));
  if (settings.box.has_value()) proto->set_box(*settings.box);
  proto->set_batch_order(static_cast<v1::BatchOrder>(settings.batch_order));
  proto->set_draw_codec(static_cast<v1::DrawCodec>(settings.draw_codec));
  proto->set_random_streams(static_cast<v1::RandomStreams>(settings.random_streams));
  proto->set_compute(static_cast<v1::ComputeType>(settings.compute));
}

}  // namespace bif::server
