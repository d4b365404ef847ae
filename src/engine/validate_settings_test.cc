#include "src/engine/validate_settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "src/base/status.h"

namespace bif::engine {
namespace {

SamplerSettings Good() {
  SamplerSettings settings;
  settings.step_size = 1e-4;
  settings.nbeta = 1000;
  settings.gamma = 300;
  return settings;
}

// The path at fault after `change`, or "" if the settings are accepted.
std::string FaultAfter(const std::function<void(SamplerSettings&)>& change,
                       int64_t train_rows = 1000) {
  SamplerSettings settings = Good();
  change(settings);
  const absl::Status status = ValidateSettings(settings, train_rows);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return FieldPath(status).value_or("no path: " + status.ToString());
}

TEST(ValidateSettings, GoodSettingsPass) {
  EXPECT_EQ(FaultAfter([](auto&) {}), "");
  EXPECT_EQ(FaultAfter([](auto& s) { s.gamma = 0; }), "");
  EXPECT_EQ(FaultAfter([](auto& s) { s.noise_scale = 0; }), "");
  EXPECT_EQ(FaultAfter([](auto& s) { s.steps_between_draws = 0; }), "");
  EXPECT_EQ(FaultAfter([](auto& s) { s.batch_size = 1000; }), "");
}

TEST(ValidateSettings, NumbersOutOfRangeAreRefusedByPath) {
  EXPECT_EQ(FaultAfter([](auto& s) { s.step_size = 0; }), "settings.step_size");
  EXPECT_EQ(FaultAfter([](auto& s) { s.nbeta = -1; }), "settings.nbeta");
  EXPECT_EQ(FaultAfter([](auto& s) { s.nbeta = 0; }), "settings.nbeta");
  EXPECT_EQ(FaultAfter([](auto& s) { s.gamma = -1e-9; }), "settings.gamma");
  EXPECT_EQ(FaultAfter([](auto& s) { s.weight_decay = -1; }), "settings.weight_decay");
  EXPECT_EQ(FaultAfter([](auto& s) { s.noise_scale = -1; }), "settings.noise_scale");
  EXPECT_EQ(FaultAfter([](auto& s) { s.rms_decay = 1; }), "settings.rms_decay");
  EXPECT_EQ(FaultAfter([](auto& s) { s.rms_delta = 0; }), "settings.rms_delta");
  EXPECT_EQ(FaultAfter([](auto& s) { s.box = 0; }), "settings.box");
}

TEST(ValidateSettings, NotFiniteIsRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(FaultAfter([&](auto& s) { s.step_size = nan; }), "settings.step_size");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.nbeta = inf; }), "settings.nbeta");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.gamma = inf; }), "settings.gamma");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.weight_decay = nan; }), "settings.weight_decay");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.noise_scale = nan; }), "settings.noise_scale");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.rms_decay = nan; }), "settings.rms_decay");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.rms_delta = inf; }), "settings.rms_delta");
  EXPECT_EQ(FaultAfter([&](auto& s) { s.box = inf; }), "settings.box");
}

TEST(ValidateSettings, CountsOutOfRangeAreRefusedByPath) {
  EXPECT_EQ(FaultAfter([](auto& s) { s.chains = 0; }), "settings.chains");
  EXPECT_EQ(FaultAfter([](auto& s) { s.chains = 1025; }), "settings.chains");
  EXPECT_EQ(FaultAfter([](auto& s) { s.draws_per_chain = 1; }), "settings.draws_per_chain");
  EXPECT_EQ(FaultAfter([](auto& s) { s.batch_size = 0; }), "settings.batch_size");
  EXPECT_EQ(FaultAfter([](auto& s) { s.batch_size = 1001; }), "settings.batch_size");
  EXPECT_FALSE(ValidateSettings(Good(), 0).ok());
}

TEST(ValidateSettings, UnknownEnumsAreRefused) {
  EXPECT_EQ(FaultAfter([](auto& s) { s.algorithm = Algorithm{9}; }), "settings.algorithm");
  EXPECT_EQ(FaultAfter([](auto& s) { s.batch_order = BatchOrder{0}; }), "settings.batch_order");
  EXPECT_EQ(FaultAfter([](auto& s) { s.draw_codec = DrawCodec{7}; }), "settings.draw_codec");
}

TEST(ValidateSettings, ReplayedBatchesAreChecked) {
  auto replay = [](std::vector<std::vector<uint32_t>> batches) {
    return FaultAfter(
        [&](auto& s) {
          s.batch_order = BatchOrder::kReplay;
          s.replay_batches = batches;
        },
        10);
  };
  EXPECT_EQ(replay({{0, 9}, {3, 3}}), "");
  EXPECT_EQ(replay({}), "settings.replay_batches");
  EXPECT_EQ(replay({{}}), "settings.replay_batches[0]");
  EXPECT_EQ(replay({{1, 2}, {3}}), "settings.replay_batches[1]");
  EXPECT_EQ(replay({{1, 2}, {3, 10}}), "settings.replay_batches[1].indices[1]");
  EXPECT_EQ(FaultAfter([](auto& s) { s.replay_batches = {{1}}; }), "settings.replay_batches");
}

TEST(ValidateSettings, StreamsOfDevinterpWantWhatDevinterpHas) {
  const auto fault = [](const std::function<void(SamplerSettings&)>& change) {
    return FaultAfter([&](SamplerSettings& s) {
      s.random_streams = RandomStreams::kDevinterp;
      change(s);
    });
  };
  EXPECT_EQ(fault([](auto&) {}), "");
  EXPECT_EQ(fault([](auto& s) { s.batch_order = BatchOrder::kWithReplacement; }),
            "settings.batch_order");
  EXPECT_EQ(fault([](auto& s) { s.compute = ComputeType::kBf16; }), "settings.compute");
  EXPECT_EQ(FaultAfter([](auto& s) { s.random_streams = RandomStreams{7}; }),
            "settings.random_streams");
  EXPECT_EQ(FaultAfter([](auto& s) { s.compute = ComputeType{7}; }), "settings.compute");
}

TEST(ValidateSettings, StreamsOfDevinterpAreThoseOfACpu) {
  SamplerSettings settings = Good();
  EXPECT_TRUE(ValidateForDevice(settings, "cuda:0").ok());
  settings.random_streams = RandomStreams::kDevinterp;
  EXPECT_TRUE(ValidateForDevice(settings, "cpu").ok());
  EXPECT_EQ(FieldPath(ValidateForDevice(settings, "cuda:0")), "settings.random_streams");
}

}  // namespace
}  // namespace bif::engine
