#include "client/cli/pathwise_output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/output.h"

namespace bif::client {
namespace {

constexpr int kShownStretches = 5;
// Chance makes 5 %; of few pairs it may make more.
constexpr double kManyDisagree = 0.15;

std::string InDoubt(uint64_t undecided) {
  return undecided == 0
             ? ""
             : absl::StrCat(" (", Count(static_cast<int64_t>(undecided)), " candidates in doubt)");
}

}  // namespace

std::string SlopesText(const v1::PathwiseProvenance& p) {
  std::string text =
      absl::StrCat("slopes at ", p.draws(), " draws of ", p.stretches(), " stretches, ",
                   p.steps_between_slopes(), " steps apart, ", p.jackknife_blocks(),
                   " jackknife blocks; tangents burnt in for ", p.tangent_burn_in_steps(),
                   absl::StrFormat(" steps, which may leave out %.2g %% of their response",
                                   100 * p.bias_bound()));
  if (p.forward_passes() > 0) {
    absl::StrAppend(&text, "; ", Count(static_cast<int64_t>(p.forward_passes())),
                    " forward passes");
  }
  return text;
}

std::vector<std::string> PathwiseNotes(const v1::PathwiseProvenance& p) {
  std::vector<std::string> notes;
  if (!p.derivatives_reason().empty()) {
    const bool exact = p.hessian() == v1::EXACT && p.slopes() == v1::EXACT;
    notes.push_back(absl::StrCat("derivatives: ", exact ? "exact" : "central differences", ": ",
                                 p.derivatives_reason()));
  }
  if (p.preconditioner_held_fixed())
    notes.push_back("the preconditioner's own response is left out: take the order, not the sizes");
  if (p.states_missing() > 0) {
    notes.push_back(absl::StrCat(p.states_missing(),
                                 " stored chain states could not be read; others were used"));
  }
  if (p.stretches_from_the_checkpoint() > 0) {
    notes.push_back(absl::StrCat(p.stretches_from_the_checkpoint(),
                                 " stretches were replayed from the checkpoint on"));
  }
  for (int i = 0; i < std::min(p.left_out_size(), kShownStretches); ++i) {
    const v1::StretchLeftOut& left = p.left_out(i);
    notes.push_back(absl::StrCat("left out: chain ", left.chain(), " from step ", left.from_step(),
                                 left.has_query() ? absl::StrCat(", query #", left.query()) : "",
                                 ": ", left.reason()));
  }
  if (p.left_out_size() > kShownStretches) {
    notes.push_back(absl::StrCat("left out: ", p.left_out_size() - kShownStretches, " more"));
  }
  for (int q = 0; q < p.share_that_disagree_size(); ++q) {
    const double share = p.share_that_disagree(q);
    if (share <= kManyDisagree) continue;
    notes.push_back(absl::StrFormat(
        "query #%d: %.0f %% of the pairs' two estimates disagree (5 %% is chance): one of them is "
        "biased",
        q, 100 * share));
  }
  return notes;
}

std::string RefinedText(const v1::RefinedCandidates& refined, int helpful, int harmful) {
  return absl::StrCat("decided    ", refined.helpful_decided(), " of ", helpful, " helpful",
                      InDoubt(refined.helpful_undecided()), ", ", refined.harmful_decided(), " of ",
                      harmful, " harmful", InDoubt(refined.harmful_undecided()), "; ",
                      Count(static_cast<int64_t>(refined.refined())), " candidates refined");
}

}  // namespace bif::client
