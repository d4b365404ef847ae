// Progress of something long, on stderr: one line that is redrawn on a terminal, a plain line now
// and then otherwise.
//
// Confined to one thread. Prints nothing when the session is quiet.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/cli/session.h"

namespace bif::client {

struct ProgressState {
  std::string stage;  // what is being done, e.g. "sampling"
  int64_t done = 0;
  int64_t total = 0;                        // 0: unknown, only stage and note are shown
  std::string unit;                         // e.g. "draws"; "B" is shown as bytes
  double rate = 0;                          // a second; 0: not known yet
  std::optional<absl::Duration> remaining;  // absent: taken from the rate
  std::string note;                         // what else there is to say, behind all that
};

// "sampling  [#######.....]  58 %  116/200 draws  12.3/s  7 s left"
std::string RenderProgress(const ProgressState& state, int bar_width);

class Progress {
 public:
  explicit Progress(Session& session);
  // Ends the line on a terminal.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows `state` if enough has changed since it was shown last. A rate of 0 is measured from the
  // first update.
  void Update(ProgressState state);

 private:
  Session& session_;
  absl::Time started_;
  int64_t first_done_ = -1;
  absl::Time shown_ = absl::InfinitePast();
  std::string shown_stage_;
  int shown_tenths_ = -1;
  bool line_open_ = false;
};

// For uploads: bytes sent, of how many.
std::function<void(int64_t, int64_t)> UploadReporter(Progress& progress, const std::string& stage);

}  // namespace bif::client
