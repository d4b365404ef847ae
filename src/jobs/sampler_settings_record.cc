#include "src/jobs/sampler_settings_record.h"

#include <bit>

#include "src/base/digest.h"
#include "src/jobs/sampler_settings_fields.h"

namespace bif::jobs {
namespace {

// Fixed-width little pieces in a fixed order.
class CanonicalBytes {
 public:
  void Add(uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void Add(double value) { Add(std::bit_cast<uint64_t>(value == 0 ? 0.0 : value)); }  // -0 is 0
  void Add(const std::string& text) {
    Add(uint64_t{text.size()});
    bytes_ += text;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace

storage::pb::SamplerSettings ToRecord(const engine::SamplerSettings& s) {
  storage::pb::SamplerSettings record;
  WriteCommonFields(s, record);
  record.set_algorithm(static_cast<uint32_t>(s.algorithm));
  record.set_box(s.box.value_or(0));
  record.set_batch_order(static_cast<uint32_t>(s.batch_order));
  record.set_draw_codec(static_cast<uint32_t>(s.draw_codec));
  record.set_random_streams(static_cast<uint32_t>(s.random_streams));
  record.set_compute(static_cast<uint32_t>(s.compute));
  return record;
}

engine::SamplerSettings FromRecord(const storage::pb::SamplerSettings& record) {
  engine::SamplerSettings s;
  ReadCommonFields(record, s);
  s.algorithm = static_cast<engine::Algorithm>(record.algorithm());
  s.noise_scale = record.noise_scale();
  s.rms_decay = record.rms_decay();
  s.rms_delta = record.rms_delta();
  if (record.box() > 0) s.box = record.box();
  s.chains = record.chains();
  s.draws_per_chain = record.draws_per_chain();
  s.steps_between_draws = record.steps_between_draws();
  s.batch_size = record.batch_size();
  s.batch_order = static_cast<engine::BatchOrder>(record.batch_order());
  s.draw_codec = static_cast<engine::DrawCodec>(record.draw_codec());
  // Records of before these settings have 0, which stands for the default.
  if (record.random_streams() != 0)
    s.random_streams = static_cast<engine::RandomStreams>(record.random_streams());
  if (record.compute() != 0) s.compute = static_cast<engine::ComputeType>(record.compute());
  return s;
}

storage::pb::ExecutionPlan ToRecord(const engine::ExecutionPlan& plan,
                                    const engine::EngineInfo& info) {
  storage::pb::ExecutionPlan record;
  record.set_batched_chains(plan.batched_chains);
  record.set_trace_batch_rows(static_cast<uint32_t>(plan.trace_batch_rows));
  record.set_trace_batch_tokens(static_cast<uint32_t>(plan.trace_batch_tokens));
  record.set_step_batch_rows(static_cast<uint32_t>(plan.step_batch_rows));
  record.set_plain_attention(plan.plain_attention);
  record.set_compute(static_cast<uint32_t>(plan.compute));
  record.set_compute_reason(plan.compute_reason);
  record.set_threads(static_cast<uint32_t>(info.threads));
  record.set_numerics(info.numerics);
  return record;
}

engine::ExecutionPlan FromRecord(const storage::pb::ExecutionPlan& record) {
  engine::ExecutionPlan plan;
  plan.batched_chains = record.batched_chains();
  plan.trace_batch_rows = record.trace_batch_rows();
  if (record.trace_batch_tokens() != 0) plan.trace_batch_tokens = record.trace_batch_tokens();
  plan.step_batch_rows = record.step_batch_rows();
  plan.plain_attention = record.plain_attention();
  if (record.compute() != 0) plan.compute = static_cast<engine::ComputeType>(record.compute());
  plan.compute_reason = record.compute_reason();
  return plan;
}

std::string CanonicalSettings(const engine::SamplerSettings& s) {
  CanonicalBytes bytes;
  bytes.Add(static_cast<uint64_t>(s.algorithm));
  bytes.Add(s.step_size);
  bytes.Add(s.nbeta);
  bytes.Add(s.gamma);
  bytes.Add(s.weight_decay);
  bytes.Add(s.noise_scale);
  const bool rms = s.algorithm == engine::Algorithm::kRmspropSgld;
  bytes.Add(rms ? s.rms_decay : 0.0);
  bytes.Add(rms ? s.rms_delta : 0.0);
  bytes.Add(s.box.value_or(0));
  bytes.Add(uint64_t{s.chains});
  bytes.Add(uint64_t{s.burn_in_steps});
  bytes.Add(uint64_t{s.steps_between_draws});
  const bool replay = s.batch_order == engine::BatchOrder::kReplay;
  bytes.Add(replay ? uint64_t{0} : uint64_t{s.batch_size});
  bytes.Add(s.seed);
  bytes.Add(static_cast<uint64_t>(s.batch_order));
  bytes.Add(replay ? uint64_t{s.replay_batches.size()} : uint64_t{0});
  if (replay) {
    for (const auto& batch : s.replay_batches) {
      bytes.Add(uint64_t{batch.size()});
      for (const uint32_t index : batch) bytes.Add(uint64_t{index});
    }
  }
  bytes.Add(uint64_t{s.parameters.include.size()});
  for (const std::string& glob : s.parameters.include) bytes.Add(glob);
  bytes.Add(uint64_t{s.parameters.exclude.size()});
  for (const std::string& glob : s.parameters.exclude) bytes.Add(glob);
  bytes.Add(static_cast<uint64_t>(s.draw_codec));
  // Settings that came later stand behind their name, and only where they are not the default:
  // without them, a key is what it was before there were any.
  if (!s.parameters.presets.empty()) {
    bytes.Add(std::string("presets"));
    bytes.Add(uint64_t{s.parameters.presets.size()});
    for (const std::string& preset : s.parameters.presets) bytes.Add(preset);
  }
  if (s.random_streams != engine::RandomStreams::kPhilox) {
    bytes.Add(std::string("random_streams"));
    bytes.Add(static_cast<uint64_t>(s.random_streams));
  }
  if (s.compute != engine::ComputeType::kFp32) {
    bytes.Add(std::string("compute"));
    bytes.Add(static_cast<uint64_t>(s.compute));
  }
  return bytes.Take();
}

std::string PosteriorKeyOf(const std::string& checkpoint_digest,
                           const std::string& training_data_digest,
                           const engine::SamplerSettings& settings) {
  Sha256 sha;
  sha.UpdateField("bif posterior 1");
  sha.UpdateField(checkpoint_digest);
  sha.UpdateField(training_data_digest);
  sha.UpdateField(CanonicalSettings(settings));
  return ToHex(sha.Finish());
}

}  // namespace bif::jobs
