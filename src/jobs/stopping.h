// Sampling towards a target: what a caller asks for, when it is looked at, and how that is stored.
//
// A target is no part of a posterior's key: a run that stops earlier is the beginning of one that
// stops later. Whether to stop is decided at check points alone, from committed draws, so that a
// run which crashed stops at the same draw. Only a budget of time depends on the machine.
//
// Pure functions and plain values but for ResolveTarget, which reads the catalog. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/attribution/sampling_target.h"
#include "src/storage/catalog.h"

namespace bif::jobs {

struct PosteriorContext;
struct CheckedPosterior;

inline constexpr uint32_t kFirstCheckPoint = 16;    // draws a chain
inline constexpr size_t kDefaultPilotQueries = 16;  // random training rows
inline constexpr size_t kMaxPilotQueries = 256;
inline constexpr uint32_t kDefaultTargetDraws = 10'000;  // of a run that has a budget of time alone

// What a caller asks for.
struct TargetSpec {
  attribution::SamplingTarget target;         // of normalised scores
  std::string pilot_dataset;                  // a name; empty: the training dataset
  std::vector<std::string> pilot_sample_ids;  // empty: a fixed random subset of the training rows
  uint32_t max_draws_per_chain = 0;           // in all; 0: kDefaultTargetDraws, with max_time only
  absl::Duration max_time;                    // of sampling; zero: no limit
};

// The numbers are stored on disk and equal those of bif.v1.
enum class StopReason : uint8_t {
  kGoesOn = 0,  // or was interrupted
  kTargetMet = 1,
  kDrawBudget = 2,
  kTimeBudget = 3
};

// How far a run towards a target has come.
struct Stopping {
  TargetSpec target;
  StopReason reason = StopReason::kGoesOn;
  double figure = 0;             // measured last
  uint32_t draws_per_chain = 0;  // when it was measured; 0: never yet
  int64_t predicted_draws = 0;   // a chain, in all; 0: unknown, or more would not reach it
  std::string explanation;
};
Stopping FromRecord(const storage::pb::SamplingStop& record);

// The draws that the target allows at most.
uint32_t MostDraws(const TargetSpec& spec);

// Kind, value, k and budget: field errors below "target".
absl::Status CheckTarget(const TargetSpec& spec);

// As it is stored, with the pilot queries' rows. Field errors as above, also where the pilot
// queries' columns do not serve the program or k is more than there are training rows; NOT_FOUND
// for unknown samples. `checked` needs its sources and its training rows.
absl::StatusOr<storage::pb::SamplingTarget> ResolveTarget(const PosteriorContext& context,
                                                          const CheckedPosterior& checked,
                                                          const std::string& training_dataset,
                                                          const TargetSpec& spec);

bool SameTarget(const storage::pb::SamplingTarget& a, const storage::pb::SamplingTarget& b);

// 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, ...: each at most a quarter more than the one before, so
// that a run makes at most a quarter too many draws, and all looks together read a few times the
// traces.
bool IsCheckPoint(uint32_t draws);

// Whether the target is to be looked at, now that these draws are committed. The end of the draws
// is looked at too; that of the time is the caller's to know.
bool IsCheckDue(const storage::pb::SamplingStop& stop, uint32_t draws);

}  // namespace bif::jobs
