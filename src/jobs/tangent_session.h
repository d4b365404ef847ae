// The replays of one question: its stretches, with their tangents, and the slopes that are taken
// along them, round by round.
//
// Draws go round the stretches in laps, so that every round has draws of all of them. Stretches
// stay open between rounds; of more than `most_open` some follow when the first are done. Beyond
// the draws that were planned they go on in laps for as long as rounds are asked for.
//
// Step is confined to the device thread, and so is destruction once Step was called; what the
// reading functions say changes in Step only, so they are for whoever has waited for a round.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/base/tensor.h"
#include "src/engine/engine.h"
#include "src/jobs/candidates.h"
#include "src/jobs/model_cache.h"
#include "src/jobs/pace.h"
#include "src/jobs/pathwise.h"
#include "src/jobs/slope_table.h"
#include "src/jobs/tangent_plans.h"
#include "src/jobs/tangent_replay.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct TangentQuestion {
  PosteriorView view;
  engine::Observable observable;
  SampleBatch queries;  // a sample each
  Candidates candidates;
  StretchPlan plan;
  size_t most_open = 1;  // stretches at a time
};

// What is wanted next.
struct RoundWish {
  std::shared_ptr<SlopeRound> round;  // gets the slopes
  absl::Time deadline = absl::InfiniteFuture();
  double most_passes = 0;              // of this round; 0: no limit
  size_t most_stretches = ~size_t{0};  // draws are of the plan's first so many that are not lost
};

class TangentSession {
 public:
  struct Parts {
    storage::Store& store;
    ModelCache& models;
    TangentPlans& plans;
    Clock& clock;
  };
  TangentSession(const Parts& parts, TangentQuestion question);
  ~TangentSession();

  // A slice of the round; true once it is complete, the deadline is over, the passes are used up,
  // or no stretch is left. UNIMPLEMENTED where the program has no second derivatives.
  absl::StatusOr<bool> Step(const RoundWish& wish);

  const engine::TangentPlan& derivatives() const { return derivatives_; }
  const std::vector<std::vector<bool>>& lost() const { return lost_; }  // [query][stretch]
  const std::vector<StretchLeftOut>& left_out() const { return left_out_; }
  double passes() const { return passes_; }  // so far

 private:
  // Rows of a round on the device.
  struct Chunk {
    std::shared_ptr<engine::ResidentRows> rows;
    std::vector<size_t> positions;  // in the round, of each; empty: they are the round's, in order
    int64_t count = 0;
  };

  absl::Status Load();
  absl::StatusOr<bool> UploadRows(const SlopeRound& round);  // true: all are there
  // The stretch of the next draw; -1: none is left.
  int64_t NextStretch(size_t most_stretches);
  TangentReplay& OpenReplay(size_t stretch);
  absl::Status TakeSlopes(SlopeRound& round, TangentReplay& replay);
  void NoteLost(size_t stretch);
  double CostOfDraw(const TangentReplay& replay, uint64_t at, size_t rows) const;

  const Parts parts_;
  const TangentQuestion question_;
  const bool all_training_;  // candidate i is training row i
  engine::TangentPlan derivatives_;
  std::vector<std::vector<bool>> lost_;
  std::vector<StretchLeftOut> left_out_;
  double passes_ = 0;

  std::vector<uint32_t> group_;        // stretches that go on when those of the plan are taken
  std::vector<uint32_t> order_;        // stretches of the planned draws
  size_t next_ = 0;                    // draw
  std::vector<uint64_t> taken_;        // draws of each stretch
  const SlopeRound* round_ = nullptr;  // that Step saw last
  double round_passes_ = 0;
  int64_t current_ = -1;  // stretch of the draw in the making
  size_t chunk_ = 0;      // of the draw in the making
  int64_t chunk_row_ = 0;
  Pace rows_at_once_{256, 65536};

  // In order of dependence: replays are freed before the rows.
  std::unique_ptr<ReplayContext> context_;
  std::vector<uint32_t> uploaded_;  // the rows that the chunks hold, or are to hold
  size_t uploaded_rows_ = 0;
  size_t rows_a_chunk_ = 64;  // the next one; from the bytes of the last
  std::vector<std::pair<uint32_t, size_t>> upload_order_;  // ordinal, position in the round
  std::vector<Chunk> chunks_;
  std::vector<std::unique_ptr<TangentReplay>> replays_;  // a stretch; null: not open
};

}  // namespace bif::jobs
