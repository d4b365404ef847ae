#include "src/jobs/sampler_settings_record.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace bif::jobs {
namespace {

using engine::SamplerSettings;

SamplerSettings Full() {
  SamplerSettings s;
  s.algorithm = engine::Algorithm::kRmspropSgld;
  s.step_size = 1e-4;
  s.nbeta = 30;
  s.gamma = 100;
  s.weight_decay = 0.1;
  s.box = 0.5;
  s.chains = 3;
  s.burn_in_steps = 5;
  s.steps_between_draws = 0;
  s.seed = 1ull << 60;
  s.batch_order = engine::BatchOrder::kReplay;
  s.replay_batches = {{1, 2}, {3, 4}};
  s.parameters = {{"a*"}, {"b", "c"}, {"attention"}};
  s.draw_codec = engine::DrawCodec::kBf16;
  return s;
}

TEST(SamplerSettingsRecord, NothingIsLostOnDisk) {
  const SamplerSettings s = Full();
  EXPECT_EQ(ToRecord(FromRecord(ToRecord(s))).SerializeAsString(), ToRecord(s).SerializeAsString());
  EXPECT_EQ(CanonicalSettings(FromRecord(ToRecord(s))), CanonicalSettings(s));
  EXPECT_EQ(FromRecord(ToRecord(s)).replay_batches, s.replay_batches);
}

TEST(SamplerSettingsRecord, EveryChangeThatMattersIsAnotherKey) {
  const std::vector<std::function<void(SamplerSettings&)>> changes = {
      [](SamplerSettings&) {},
      [](SamplerSettings& s) { s.algorithm = engine::Algorithm::kSgld; },
      [](SamplerSettings& s) { s.step_size = 2e-4; },
      [](SamplerSettings& s) { s.nbeta = 31; },
      [](SamplerSettings& s) { s.gamma = 101; },
      [](SamplerSettings& s) { s.weight_decay = 0; },
      [](SamplerSettings& s) { s.noise_scale = 0; },
      [](SamplerSettings& s) { s.rms_decay = 0.9; },
      [](SamplerSettings& s) { s.rms_delta = 0.2; },
      [](SamplerSettings& s) { s.box.reset(); },
      [](SamplerSettings& s) { s.chains = 4; },
      [](SamplerSettings& s) { s.burn_in_steps = 6; },
      [](SamplerSettings& s) { s.steps_between_draws = 1; },
      [](SamplerSettings& s) { s.seed = 1; },
      [](SamplerSettings& s) { s.batch_order = engine::BatchOrder::kWithReplacement; },
      [](SamplerSettings& s) { s.replay_batches[1][0] = 4; },
      [](SamplerSettings& s) { s.parameters.include = {}; },
      [](SamplerSettings& s) {
        s.parameters = {{"a*", "b"}, {"c"}, {"attention"}};
      },
      [](SamplerSettings& s) { s.parameters.presets = {}; },
      [](SamplerSettings& s) { s.parameters.presets.push_back("layer:1"); },
      [](SamplerSettings& s) { s.random_streams = engine::RandomStreams::kDevinterp; },
      [](SamplerSettings& s) { s.compute = engine::ComputeType::kBf16; },
      [](SamplerSettings& s) { s.draw_codec = engine::DrawCodec::kFp32; },
  };
  std::set<std::string> keys;
  for (const auto& change : changes) {
    SamplerSettings s = Full();
    change(s);
    keys.insert(PosteriorKeyOf("checkpoint", "data", s));
  }
  keys.insert(PosteriorKeyOf("another checkpoint", "data", Full()));
  keys.insert(PosteriorKeyOf("checkpoint", "other data", Full()));
  EXPECT_EQ(keys.size(), changes.size() + 2);
}

// The key of a posterior that was sampled before the settings had presets, random_streams and
// compute, and is asked for again.
TEST(SamplerSettingsRecord, LaterSettingsAtTheirDefaultsLeaveOldKeysAsTheyAre) {
  SamplerSettings s = Full();
  s.parameters.presets.clear();
  EXPECT_EQ(PosteriorKeyOf("checkpoint", "data", s),
            "d0d1ba80b13c8d5cbd9e1e3e16b74e27b1bbad488998e12789e096435a8a5bfe");
  storage::pb::SamplerSettings old = ToRecord(s);
  old.clear_random_streams();
  old.clear_compute();
  EXPECT_EQ(PosteriorKeyOf("checkpoint", "data", FromRecord(old)),
            PosteriorKeyOf("checkpoint", "data", s));
}

TEST(ExecutionPlanRecord, KeepsEveryFieldAndOldRecordsAreFp32) {
  engine::ExecutionPlan plan;
  plan.batched_chains = true;
  plan.trace_batch_rows = 48;
  plan.trace_batch_tokens = 1024;
  plan.step_batch_rows = 4;
  plan.plain_attention = true;
  plan.compute = engine::ComputeType::kBf16;
  plan.compute_reason = "why";
  EXPECT_EQ(FromRecord(ToRecord(plan, {})), plan);
  storage::pb::ExecutionPlan old;
  old.set_trace_batch_rows(64);
  const engine::ExecutionPlan read = FromRecord(old);
  EXPECT_EQ(read.trace_batch_rows, 64);
  EXPECT_EQ(read.step_batch_rows, 0);
  EXPECT_EQ(read.compute, engine::ComputeType::kFp32);
}

TEST(SamplerSettingsRecord, MoreDrawsAndUnusedSettingsAreTheSameKey) {
  SamplerSettings s = Full();
  const std::string key = PosteriorKeyOf("checkpoint", "data", s);
  s.draws_per_chain = 5000;
  s.batch_size = 17;  // replayed batches bring their own
  EXPECT_EQ(PosteriorKeyOf("checkpoint", "data", s), key);
  s.algorithm = engine::Algorithm::kSgld;
  const std::string sgld = PosteriorKeyOf("checkpoint", "data", s);
  s.rms_decay = 0.5;
  EXPECT_EQ(PosteriorKeyOf("checkpoint", "data", s), sgld);
}

}  // namespace
}  // namespace bif::jobs
