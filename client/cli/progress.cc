#include "client/cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/output.h"

namespace bif::client {
namespace {
constexpr int kBarWidth = 24;
constexpr absl::Duration kRedrawEvery = absl::Milliseconds(100);
}  // namespace

std::string RenderProgress(const ProgressState& state, int bar_width) {
  if (state.total <= 0)
    return state.note.empty() ? state.stage : absl::StrCat(state.stage, "  ", state.note);
  const double share = std::clamp(static_cast<double>(state.done) / state.total, 0.0, 1.0);
  const int filled = static_cast<int>(share * bar_width);
  const bool bytes = state.unit == "B";
  std::string text =
      absl::StrFormat("%s  [%s%s] %3d %%  ", state.stage, std::string(filled, '#'),
                      std::string(bar_width - filled, '.'), static_cast<int>(share * 100));
  if (bytes) {
    absl::StrAppend(&text, Bytes(state.done), "/", Bytes(state.total));
  } else {
    absl::StrAppend(&text, Count(state.done), "/", Count(state.total), " ", state.unit);
  }
  if (state.rate > 0) {
    absl::StrAppend(&text, "  ",
                    bytes ? Bytes(static_cast<int64_t>(state.rate)) : Number(state.rate), "/s");
  }
  if (state.done < state.total) {
    if (state.remaining) {
      absl::StrAppend(&text, "  ", DurationText(*state.remaining), " left");
    } else if (state.rate > 0) {
      absl::StrAppend(&text, "  ",
                      DurationText(absl::Seconds((state.total - state.done) / state.rate)),
                      " left");
    }
  }
  if (!state.note.empty()) absl::StrAppend(&text, "  ", state.note);
  return text;
}

Progress::Progress(Session& session) : session_(session), started_(absl::Now()) {}

Progress::~Progress() {
  if (line_open_) session_.err << "\n" << std::flush;
}

void Progress::Update(ProgressState state) {
  if (session_.quiet) return;
  const absl::Time now = absl::Now();
  if (first_done_ < 0 || state.done < first_done_) {
    first_done_ = state.done;
    started_ = now;
  }
  const double seconds = absl::ToDoubleSeconds(now - started_);
  if (state.rate <= 0 && seconds > 0.5) state.rate = (state.done - first_done_) / seconds;

  const int tenths = state.total > 0 ? static_cast<int>(10 * state.done / state.total) : 0;
  const bool news = state.stage != shown_stage_;
  const bool finished = state.total > 0 && state.done >= state.total && tenths != shown_tenths_;
  if (session_.err_is_terminal) {
    if (!news && !finished && now - shown_ < kRedrawEvery) return;
    // "erase to the end of the line" clears what a longer line left.
    session_.err << "\r" << RenderProgress(state, kBarWidth) << "\x1b[K" << std::flush;
    line_open_ = true;
  } else {
    if (!news && tenths == shown_tenths_) return;
    session_.err << RenderProgress(state, kBarWidth) << "\n" << std::flush;
  }
  shown_ = now;
  shown_stage_ = state.stage;
  shown_tenths_ = tenths;
}

std::function<void(int64_t, int64_t)> UploadReporter(Progress& progress, const std::string& stage) {
  return [&progress, stage](int64_t sent_bytes, int64_t total_bytes) {
    progress.Update({.stage = stage, .done = sent_bytes, .total = total_bytes, .unit = "B"});
  };
}

}  // namespace bif::client
