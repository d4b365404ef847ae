// What the scores of the pilot queries look like at the committed draws of a posterior: one look at
// a target, some hundred rows at a time.
//
// A pure function of what is committed, so that a look after a crash says what one before it did.
// Pairs of a sample with itself do not count: their score is known beforehand.
//
// Confined to the device thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "src/attribution/estimator.h"
#include "src/attribution/sampling_target.h"
#include "src/jobs/posterior_traces.h"
#include "src/storage/store.h"

namespace bif::jobs {

class TargetCheck {
 public:
  static constexpr size_t kPilotRows = 1024;  // training rows, where they need not be all

  // `record`: with its stop. `traces`: that know the committed draws, and those of the pilot
  // queries. Both and the store must outlive it. FAILED_PRECONDITION if no chain or no pilot query
  // is left, or there are too few draws to score at.
  static absl::StatusOr<TargetCheck> Open(storage::Store& store,
                                          const storage::pb::PosteriorRecord& record,
                                          const PosteriorTraces& traces);

  // Scores some rows. True: all of them.
  absl::StatusOr<bool> Step();

  // After the last step. FAILED_PRECONDITION where nothing can be said yet.
  absl::StatusOr<attribution::PilotReport> Report() const;

 private:
  // A trace of losses: where it is stored.
  struct Source {
    uint32_t dataset = 0;  // number
    uint32_t slot = 0;
  };

  TargetCheck(storage::Store& store, const storage::pb::PosteriorRecord& record)
      : store_(store), record_(record) {}
  absl::Status FindPilot(const PosteriorTraces& traces, uint32_t training_dataset);
  absl::StatusOr<std::vector<float>> ReadPilot() const;

  storage::Store& store_;
  const storage::pb::PosteriorRecord& record_;
  attribution::SamplingTarget target_;
  uint32_t training_ = 0;         // number of the training dataset
  std::vector<uint32_t> chains_;  // that have not diverged
  attribution::TraceLayout layout_;
  std::vector<Source> pilot_;
  std::vector<uint32_t> slots_;  // of the rows, ascending
  std::optional<attribution::Scorer> scorer_;
  std::vector<attribution::ScoreValue> scores_;  // [row][pilot query]
  size_t done_ = 0;                              // rows
  std::vector<float> values_;                    // of some rows
};

}  // namespace bif::jobs
