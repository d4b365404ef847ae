// Evaluating samples at a posterior's stored draws: what queries and trace jobs do on the device
// thread, a slice of a few draws at a time.
//
// A scan goes round and round over the draws, and whoever wants values rides along: each draw is
// read, decoded and loaded once for all riders, and their rows are evaluated in one batch. Who
// comes late joins at the next draw and gets the ones before it in the next round. Draws go in the
// order t = 0, 1, ..., all chains of a t together, so that at every moment a rider knows the same
// draws of all chains.
//
// Confined to the device thread, and destroyed there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/cancel.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/jobs/counters.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/evaluated_rows.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/posteriors.h"

namespace bif::jobs {

// Samples that need the same draws. Rows are those of the result.
struct EvaluationGroup {
  SampleBatch samples;
  std::vector<size_t> rows;  // of the result, one a sample
  uint32_t first_draw = 0;   // earlier draws are known already
};
// What is to be evaluated.
struct EvaluationSpec {
  PosteriorView view;
  engine::Observable observable;
  std::vector<EvaluationGroup> groups;
  // The request's field that a row came from, for errors of its own ("queries.inline[3]").
  std::function<std::string(size_t row)> field_of_row;
};

// Who wants it. The scan reports to `result`, the end included.
struct ScanRider {
  EvaluationSpec spec;
  std::shared_ptr<EvaluatedRows> result;
  CancelToken cancel;
  std::string tenant = kDefaultTenant;
  int priority = 0;  // of its tenant; a scan has that of the rider who began it
};

class DrawScan {
 public:
  // The references must outlive it.
  DrawScan(const PosteriorView& view, CacheUse use, ModelCache& models, DrawReader& draws,
           Counters& counters);
  ~DrawScan();

  // Checks the riders' samples and evaluates them at w*. A bad label is a field error of its rider
  // alone. All riders' views have the draws and chains of the scan's.
  void Join(std::vector<ScanRider> riders);
  // Evaluates the next few draws for all who lack them. Riders that have got everything, or are
  // cancelled, leave. A draw that cannot be read leaves NaN; what else fails ends all riders.
  void Slice();
  bool empty() const { return riders_.empty(); }
  void EndAll(const absl::Status& why);
  // Of the last Join or Slice, by the rows that were evaluated.
  const std::vector<DeviceTask::Share>& shares() const { return shares_; }

 private:
  struct Rider;
  struct Unit;
  struct Batch;

  absl::Status LoadModel();
  absl::Status TryJoin(std::vector<std::unique_ptr<Rider>>& joining);
  absl::Status CheckAlone(const Unit& unit);
  // The rows of these units on the device: those of the last time, if they are the same units.
  absl::StatusOr<Batch*> BatchOf(std::vector<Unit*> members);
  absl::Status CheckSequences(const Unit& unit, const engine::ResidentRows& resident,
                              int64_t first_row);
  // Fills observed_: the batch's rows at some draws. Losses of tokens as they will be kept.
  absl::Status Observe(const Batch& batch, absl::Span<const absl::Span<const float>> deltas);
  absl::Status EvaluateAnchor(const Batch& batch);
  absl::Status EvaluateSlice(const Batch& batch, const std::vector<DrawReader::Delta>& deltas);
  // Units that ask for the same observable of samples with the same columns, together.
  static std::vector<std::vector<Unit*>> Alike(const std::vector<Unit*>& units);
  std::vector<Unit*> Units() const;
  void DropCancelled();
  void End(Rider& rider, const absl::Status& status);
  void SetShares(const std::vector<Unit*>& units);
  // [begin, end) of the places, less what lies behind the last.
  std::vector<DrawPlace> Places(size_t begin, size_t end) const;

  const PosteriorView view_;
  const CacheUse use_;
  ModelCache& models_;
  DrawReader& draws_;
  Counters& counters_;
  const size_t
      total_;  // places: draws times chains; place k is chain k % chains of draw k / chains
  std::shared_ptr<engine::Model> model_;
  std::vector<std::unique_ptr<Rider>> riders_;
  uint64_t last_unit_ = 0;
  std::vector<std::unique_ptr<Batch>> batches_;  // of the last slice; freed before model_
  size_t position_ = 0;                          // the next place
  size_t slice_ = 4;                             // places, grown while slices are quick
  std::vector<float> observed_;
  std::vector<DeviceTask::Share> shares_;
};

}  // namespace bif::jobs
