#include "src/jobs/observable_checks.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

using engine::ObservableKind;

absl::Status CheckLogit(const char* field, uint32_t index, const engine::ProgramInfo& info) {
  if (index < info.classes) return absl::OkStatus();
  return FieldError(field, absl::StrCat("is ", index, ", there are ", info.classes, " logits"));
}

bool HasPosition(ObservableKind kind) {
  return kind == ObservableKind::kLogit || kind == ObservableKind::kLogitDifference ||
         kind == ObservableKind::kTokenProbability;
}

}  // namespace

absl::Status CheckObservable(const engine::Observable& observable,
                             const engine::ProgramInfo& info) {
  const ObservableKind kind = observable.kind;
  if (kind == ObservableKind::kLoss) return absl::OkStatus();
  if (kind == ObservableKind::kSpanLoss || kind == ObservableKind::kTokenProbability ||
      kind == ObservableKind::kTokenLosses) {
    if (!info.sequences) {
      return FieldError("observable.kind",
                        "speaks of tokens, and this program's samples are no sequences of them");
    }
  } else if (info.classes == 0) {
    return FieldError("observable.kind", "needs logits, and this program gives none; use LOSS");
  }
  if (kind == ObservableKind::kSpanLoss) {
    if (observable.span_begin < 1) {
      return FieldError("observable.span_begin",
                        "is 0, but the first token is predicted by nothing; spans begin at 1");
    }
    if (observable.span_end != 0 && observable.span_end <= observable.span_begin) {
      return FieldError("observable.span_end",
                        absl::StrCat("is ", observable.span_end, ", and the span begins at ",
                                     observable.span_begin, "; it must end after that"));
    }
  }
  if (kind == ObservableKind::kLogit || kind == ObservableKind::kLogitDifference)
    BIF_RETURN_IF_ERROR(CheckLogit("observable.logit_index", observable.logit_index, info));
  if (kind == ObservableKind::kLogitDifference) {
    BIF_RETURN_IF_ERROR(
        CheckLogit("observable.other_logit_index", observable.other_logit_index, info));
  }
  if (!HasPosition(kind)) return absl::OkStatus();
  if (info.sequences && observable.position < 1) {
    return FieldError("observable.position",
                      "is 0, but the first token is predicted by nothing; positions begin at 1");
  }
  if (!info.sequences && observable.position != 0)
    return FieldError("observable.position", "needs sequences of tokens; leave it out");
  return absl::OkStatus();
}

absl::Status CheckGranularity(const engine::ProgramInfo& info) {
  if (info.sequences) return absl::OkStatus();
  return FieldError(
      "granularity",
      "TOKEN needs a program with the loss NEXT_TOKEN; this one gives one loss a sample");
}

absl::Status CheckPositions(const engine::Observable& observable, int64_t tokens,
                            const std::string& sample) {
  if (observable.kind == ObservableKind::kSpanLoss) {
    if (observable.span_end > tokens) {
      return FieldError("observable.span_end", absl::StrCat("is ", observable.span_end, "; ",
                                                            sample, " has ", tokens, " tokens"));
    }
    if (observable.span_begin >= tokens) {
      return FieldError("observable.span_begin", absl::StrCat("is ", observable.span_begin, "; ",
                                                              sample, " has ", tokens, " tokens"));
    }
  }
  if (HasPosition(observable.kind) && observable.position > 0 && observable.position >= tokens) {
    return FieldError("observable.position", absl::StrCat("is ", observable.position, "; ", sample,
                                                          " has ", tokens, " tokens"));
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
