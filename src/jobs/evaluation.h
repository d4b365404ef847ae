// Evaluating samples at a posterior's stored draws: what a query or a trace job does on the device
// thread, a slice of a few draws at a time.
//
// Draws go in the order t = 0, 1, ..., all chains of a t together, so that at every moment all
// chains are known up to the same draw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/jobs/counters.h"
#include "src/jobs/device_executor.h"
#include "src/jobs/draw_reader.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/posteriors.h"

namespace bif::jobs {

// What is to be evaluated. Rows are those of the result; samples of one group need the same draws.
struct EvaluationGroup {
  SampleBatch samples;
  std::vector<size_t> rows;  // of the result, one a sample
  uint32_t first_draw = 0;   // earlier draws are known already
};
struct EvaluationSpec {
  PosteriorView view;
  engine::Observable observable;
  std::vector<EvaluationGroup> groups;
  // The request's field that a row came from, for errors of its own ("queries.inline[3]").
  std::function<std::string(size_t row)> field_of_row;
};

// Traces as they come in. A row has one, or with token losses as many as it has tokens with a loss.
// The device thread writes draws from draws_done on; readers look at draws below it only.
// Thread-safe under that rule.
class EvaluatedRows {
 public:
  // `traces`: of each row. All values NaN until they are known. `draws` a chain.
  EvaluatedRows(const std::vector<uint32_t>& traces, size_t chains, uint32_t draws);
  EvaluatedRows(size_t rows, size_t chains, uint32_t draws)
      : EvaluatedRows(std::vector<uint32_t>(rows, 1), chains, draws) {}

  size_t rows() const { return first_trace_.size() - 1; }
  size_t traces(size_t r) const { return first_trace_[r + 1] - first_trace_[r]; }
  size_t stride() const { return chains_ * draws_; }
  uint32_t draws() const { return draws_; }
  // [trace of the row][chain position][draw]
  absl::Span<float> row(size_t r) {
    return absl::MakeSpan(values_).subspan(first_trace_[r] * stride(), traces(r) * stride());
  }
  absl::Span<const float> values() const { return values_; }  // of all rows
  // The row's observable at w*, one number a trace; known once Wait says finished.
  absl::Span<float> anchor(size_t r) {
    return absl::MakeSpan(anchor_).subspan(first_trace_[r], traces(r));
  }

  struct State {
    uint32_t draws_done = 0;  // of every chain
    bool finished = false;
    absl::Status status;  // of what is finished
  };
  void Report(const State& state);
  // Blocks until at least `draws` are done or it is finished, and at most `timeout`.
  State Wait(uint32_t draws, absl::Duration timeout) const;

 private:
  const size_t chains_;
  const uint32_t draws_;
  std::vector<size_t> first_trace_;  // a row, and the end
  std::vector<float> anchor_;        // a trace
  std::vector<float> values_;
  mutable absl::Mutex mutex_;  // guards state_, and orders values_ between writer and readers
  State state_ ABSL_GUARDED_BY(mutex_);
};

// Confined to the device thread from Start on, and destroyed there.
class Evaluation {
 public:
  Evaluation(EvaluationSpec spec, std::shared_ptr<EvaluatedRows> result, ModelCache& models,
             DrawReader& draws, Counters& counters);

  // Loads the model and uploads the samples; a bad label is a field error. Evaluates at w*.
  absl::Status Start();
  // Evaluates the next few draws. True once all are done. A draw that cannot be read leaves NaN.
  absl::StatusOr<bool> Slice();
  uint32_t draws_done() const;

 private:
  absl::Status Upload(EvaluationGroup& group);
  // That its sequences have what the observable speaks of, and as many traces as the result.
  absl::Status CheckSequences(const EvaluationGroup& group, const engine::ResidentRows& resident);
  // Numbers of all its rows at one draw.
  size_t TracesOf(const EvaluationGroup& group) const;
  // Fills observed_: the group's rows at some draws. Losses of tokens as they will be kept.
  absl::Status Observe(size_t group, absl::Span<const absl::Span<const float>> deltas);
  absl::Status EvaluateGroup(size_t group, size_t begin,
                             const std::vector<DrawReader::Delta>& deltas);
  std::vector<DrawPlace> Places(size_t begin, size_t end) const;

  EvaluationSpec spec_;
  std::shared_ptr<EvaluatedRows> result_;
  ModelCache& models_;
  DrawReader& draws_;
  Counters& counters_;
  std::shared_ptr<engine::Model> model_;
  std::vector<std::unique_ptr<engine::ResidentRows>> resident_;  // one a group; freed before model_
  size_t position_ = 0;                                          // of t * chains + chain
  size_t slice_ = 4;  // draws, grown while slices are quick
  std::vector<float> observed_;
};

// An evaluation as an interactive task of the device thread. Reports to the result, its end
// included.
std::unique_ptr<DeviceTask> MakeEvaluationTask(EvaluationSpec spec,
                                               std::shared_ptr<EvaluatedRows> result,
                                               const CancelToken& cancel, ModelCache& models,
                                               DrawReader& draws, Counters& counters);

}  // namespace bif::jobs
