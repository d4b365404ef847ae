#include "src/jobs/device_schedule.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace bif::jobs {
namespace {

using Id = DeviceSchedule::Id;

// A device whose time is counted, not spent: every turn of a claim takes its step's length.
class Device {
 public:
  explicit Device(const DeviceSchedule::Options& options = {}) : schedule(options) {}

  Id Add(const DeviceClaim& claim, absl::Duration step, int steps = 1 << 30) {
    claims_[++last_] = {step, steps};
    schedule.Add(last_, claim, now);
    return last_;
  }
  // The number of the claim that had the turn; 0: nobody waits.
  Id Turn() {
    const auto turn = schedule.Next(now);
    if (!turn) return 0;
    Claim& claim = claims_[turn->id];
    now += claim.step;
    used[turn->claim.tenant] += claim.step;
    longest_wait[turn->id] = std::max(longest_wait[turn->id], turn->waited);
    schedule.Charge(turn->claim.tenant, claim.step);
    schedule.EndTurn(*turn, claim.step, --claim.steps > 0, now);
    return turn->id;
  }
  std::vector<Id> Turns(int count) {
    std::vector<Id> turns;
    for (int i = 0; i < count; ++i) turns.push_back(Turn());
    return turns;
  }
  void RunUntil(absl::Time end) {
    while (now < end && Turn() != 0) {
    }
  }

  DeviceSchedule schedule;
  absl::Time now = absl::UnixEpoch();
  std::map<std::string, absl::Duration> used;
  std::map<Id, absl::Duration> longest_wait;

 private:
  struct Claim {
    absl::Duration step;
    int steps = 0;
  };
  std::map<Id, Claim> claims_;
  Id last_ = 0;
};

constexpr absl::Duration kMs = absl::Milliseconds(1);

TEST(DeviceSchedule, InteractiveGoesBeforeTracesBeforeSampling) {
  Device device;
  const Id sampling = device.Add({Priority::kSampling}, kMs, 1);
  const Id trace = device.Add({Priority::kTrace}, kMs, 1);
  const Id query = device.Add({Priority::kInteractive}, kMs, 1);
  EXPECT_EQ(device.Turns(4), (std::vector<Id>{query, trace, sampling, 0}));
}

TEST(DeviceSchedule, QueriesOfATenantTakeTurnsAndItsSamplingRunsDoNot) {
  Device device;
  const Id s1 = device.Add({Priority::kSampling}, kMs, 2);
  const Id s2 = device.Add({Priority::kSampling}, kMs, 2);
  const Id q1 = device.Add({Priority::kInteractive}, kMs, 2);
  const Id q2 = device.Add({Priority::kInteractive}, kMs, 2);
  EXPECT_EQ(device.Turns(8), (std::vector<Id>{q1, q2, q1, q2, s1, s1, s2, s2}));
}

TEST(DeviceSchedule, AHigherRankGoesFirstWithinItsTenantAlone) {
  Device device;
  const Id low = device.Add({Priority::kSampling, "red", 0}, kMs, 1);
  const Id high = device.Add({Priority::kSampling, "red", 5}, kMs, 1);
  const Id highest = device.Add({Priority::kSampling, "red", 7}, kMs, 1);
  EXPECT_EQ(device.Turns(3), (std::vector<Id>{highest, high, low}));

  Device two;
  two.Add({Priority::kSampling, "red", 100}, 10 * kMs);
  two.Add({Priority::kSampling, "blue", 0}, 10 * kMs);
  two.RunUntil(two.now + absl::Seconds(100));
  EXPECT_EQ(two.used["red"], two.used["blue"]);
}

// The bound that the header states: off by a step and a quantum at most, whatever the step lengths.
TEST(DeviceSchedule, TenantsShareTimeByTheirWeights) {
  for (const auto& [red_step, blue_step] :
       {std::pair{7 * kMs, 7 * kMs}, {1 * kMs, 900 * kMs}, {900 * kMs, 1 * kMs}}) {
    Device device;
    device.schedule.SetWeight("blue", 3);
    device.Add({Priority::kSampling, "red"}, red_step);
    device.Add({Priority::kSampling, "blue"}, blue_step);
    device.RunUntil(device.now + absl::Seconds(1000));
    const absl::Duration total = device.used["red"] + device.used["blue"];
    const absl::Duration off = device.used["blue"] - 0.75 * total;
    EXPECT_LE(absl::AbsDuration(off), absl::Milliseconds(900 + 300))
        << absl::FormatDuration(red_step) << " and " << absl::FormatDuration(blue_step);
  }
}

TEST(DeviceSchedule, WhatQueriesUseIsTakenFromATenantsSampling) {
  Device device;
  device.Add({Priority::kSampling, "red"}, 10 * kMs);
  device.Add({Priority::kSampling, "blue"}, 10 * kMs);
  for (int second = 0; second < 100; ++second) {
    device.Add({Priority::kInteractive, "red"}, absl::Milliseconds(300), 1);
    device.RunUntil(device.now + absl::Seconds(1));
  }
  const absl::Duration apart = absl::AbsDuration(device.used["red"] - device.used["blue"]);
  EXPECT_LE(apart, absl::Milliseconds(500));
}

TEST(DeviceSchedule, WhoHadNothingToDoGetsNoCredit) {
  Device device;
  device.Add({Priority::kSampling, "red"}, 10 * kMs);
  device.Add({Priority::kSampling, "blue"}, 10 * kMs, 1);
  device.RunUntil(device.now + absl::Seconds(100));
  device.Add({Priority::kSampling, "blue"}, 10 * kMs);
  const absl::Duration red_before = device.used["red"];
  const absl::Duration blue_before = device.used["blue"];
  device.RunUntil(device.now + absl::Seconds(2));
  EXPECT_LE(
      absl::AbsDuration((device.used["red"] - red_before) - (device.used["blue"] - blue_before)),
      absl::Milliseconds(220));
}

TEST(DeviceSchedule, NobodyStarvesUnderAFloodOfQueries) {
  const DeviceSchedule::Options options;
  Device device(options);
  const Id trace = device.Add({Priority::kTrace, "blue"}, 40 * kMs);
  const Id sampling = device.Add({Priority::kSampling, "blue"}, 40 * kMs);
  for (int i = 0; i < 20; ++i) device.Add({Priority::kInteractive, "red"}, 40 * kMs);
  device.RunUntil(device.now + absl::Seconds(600));
  const absl::Duration bound = options.longest_wait + 2 * (options.quantum + 40 * kMs);
  EXPECT_GT(device.longest_wait[trace], absl::ZeroDuration());
  EXPECT_GT(device.longest_wait[sampling], absl::ZeroDuration());
  EXPECT_LE(device.longest_wait[trace], bound);
  EXPECT_LE(device.longest_wait[sampling], bound);
  // A quantum each time, so that the time is worth the switch.
  EXPECT_GE(device.used["blue"], absl::Seconds(600) * 0.05);
}

TEST(DeviceSchedule, ASecondRunOfATenantWaitsForTheEndOfTheFirst) {
  Device device;
  const Id first = device.Add({Priority::kSampling}, 40 * kMs, 1000);
  const Id second = device.Add({Priority::kSampling}, 40 * kMs, 1);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(device.Turn(), first);
  EXPECT_EQ(device.Turn(), second);
}

TEST(DeviceSchedule, AClaimCanBeTakenOutOfItsTurn) {
  Device device;
  device.Add({Priority::kInteractive}, kMs, 1);
  const Id sampling = device.Add({Priority::kSampling}, kMs, 1);
  const auto turn = device.schedule.Take(sampling, device.now);
  ASSERT_TRUE(turn.has_value());
  EXPECT_EQ(turn->id, sampling);
  EXPECT_FALSE(device.schedule.Take(sampling, device.now).has_value());
}

}  // namespace
}  // namespace bif::jobs
