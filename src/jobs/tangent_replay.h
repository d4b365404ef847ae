// One stretch of a stored chain, replayed with a tangent a query, in slices.
//
// A tangent that grows without bound is dropped, and the stretch begins again without it: its
// companions lose time and nothing else. Slopes that were taken before stay as they are. A chain
// that diverges, or whose state cannot be read, ends the stretch for all.
//
// Confined to the device thread, and destroyed there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/pace.h"
#include "src/jobs/posteriors.h"
#include "src/jobs/stretch_plan.h"
#include "src/storage/store.h"

namespace bif::jobs {

// What all stretches of one question share. References and pointers outlive them.
struct ReplayContext {
  storage::Store& store;
  const PosteriorView& view;
  const engine::Observable& observable;
  const SampleBatch& queries;  // a sample each
  ModelCache::TrainingRows train;
  engine::TangentPlan plan;
};

class TangentReplay {
 public:
  TangentReplay(const ReplayContext& context, const Stretch& stretch);

  // A slice of steps towards `step`; true once the chain is there, or the stretch is over.
  absl::StatusOr<bool> Advance(uint64_t step);

  // [riding][row_count]: the slopes of some rows along the tangents that are not lost. To be called
  // where Advance has stopped. Valid until the next call.
  absl::StatusOr<absl::Span<const float>> Slopes(const engine::ResidentRows& rows,
                                                 int64_t first_row, int64_t row_count);

  const std::vector<size_t>& riding() const { return riding_; }  // queries, ascending
  // Why a query's tangent is lost; empty: it is not.
  const std::vector<std::string>& lost() const { return lost_; }
  bool over() const { return riding_.empty(); }  // all are lost
  uint64_t at() const;                           // the chain's step, or where it would begin
  double passes() const { return passes_; }      // so far, of one sample

 private:
  absl::Status Begin();
  absl::StatusOr<engine::ChainSnapshot> ReadSnapshot();
  void LoseAll(const std::string& reason);

  const ReplayContext& context_;
  const Stretch stretch_;
  std::vector<std::string> lost_;  // a query
  std::vector<size_t> riding_;     // queries
  Pace steps_at_once_{2, 512};
  double passes_ = 0;
  std::vector<float> taken_;
  std::unique_ptr<engine::ResidentRows> queries_;  // those that ride
  std::unique_ptr<engine::TangentStretch> tangents_;
};

}  // namespace bif::jobs
