#include "src/jobs/stopping.h"

#include <bit>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/status.h"
#include "src/engine/validate_settings.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/posterior_checks.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/samples.h"

namespace bif::jobs {
namespace {

using attribution::TargetKind;

absl::Status CheckBudget(const TargetSpec& spec) {
  if (spec.max_draws_per_chain == 0 && spec.max_time == absl::ZeroDuration()) {
    return FieldError("target.max_draws_per_chain",
                      "a target needs a budget, for it may be out of reach: give the most draws a "
                      "chain, or max_time");
  }
  const uint32_t draws = MostDraws(spec);
  if (draws < 2 || draws > engine::kMaxDrawsPerChain) {
    return FieldError("target.max_draws_per_chain",
                      absl::StrCat("must be 2 to ", engine::kMaxDrawsPerChain, ", is ", draws));
  }
  if (spec.max_time < absl::ZeroDuration() || spec.max_time > absl::Hours(24 * 365)) {
    return FieldError("target.max_time", absl::StrCat("must be above 0 and at most a year, is ",
                                                      absl::FormatDuration(spec.max_time)));
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t MostDraws(const TargetSpec& spec) {
  return spec.max_draws_per_chain > 0 ? spec.max_draws_per_chain : kDefaultTargetDraws;
}

absl::Status CheckTarget(const TargetSpec& spec) {
  switch (spec.target.kind) {
    case TargetKind::kMedianStandardError:
    case TargetKind::kWorstStandardError:
    case TargetKind::kStability:
    case TargetKind::kDistinguishable:
      break;
    default:
      return FieldError("target.kind", "is missing: a standard error, a stability or a share");
  }
  if (!(spec.target.value > 0 && spec.target.value < 1)) {
    return FieldError(
        "target.value",
        absl::StrFormat("must be above 0 and below 1 (shares are, and standard errors are those "
                        "of correlations), is %g",
                        spec.target.value));
  }
  if (spec.pilot_sample_ids.size() > kMaxPilotQueries) {
    return FieldError("target.pilot_sample_ids",
                      absl::StrCat("holds ", spec.pilot_sample_ids.size(), " samples, at most ",
                                   kMaxPilotQueries, " are allowed"));
  }
  if (spec.pilot_sample_ids.empty() && !spec.pilot_dataset.empty()) {
    return FieldError("target.pilot_sample_ids",
                      "is empty, though target.pilot_dataset is set: name samples of it");
  }
  return CheckBudget(spec);
}

absl::StatusOr<storage::pb::SamplingTarget> ResolveTarget(const PosteriorContext& context,
                                                          const CheckedPosterior& checked,
                                                          const std::string& training_dataset,
                                                          const TargetSpec& spec) {
  BIF_RETURN_IF_ERROR(CheckTarget(spec));
  const auto rows = static_cast<int64_t>(checked.training_ordinals.size());
  storage::pb::SamplingTarget record;
  record.set_kind(static_cast<uint32_t>(spec.target.kind));
  record.set_value(spec.target.value);
  if (spec.target.kind == TargetKind::kStability) {
    if (spec.target.k < 1 || spec.target.k > rows) {
      return FieldError("target.k", absl::StrCat("must be 1 to ", rows,
                                                 ", the training samples, is ", spec.target.k));
    }
    record.set_k(static_cast<uint32_t>(spec.target.k));
  }
  record.set_max_draws(MostDraws(spec));
  record.set_max_micros(absl::ToInt64Microseconds(spec.max_time));
  if (spec.pilot_sample_ids.empty()) return record;

  const std::string name = spec.pilot_dataset.empty() ? training_dataset : spec.pilot_dataset;
  BIF_ASSIGN_OR_RETURN(const auto dataset, context.datasets.Record(name, "target.pilot_dataset"));
  if (const absl::Status fit = CheckColumnsFit(ColumnsOf(dataset), checked.sources.info.columns);
      !fit.ok()) {
    return FieldError("target.pilot_dataset", std::string(fit.message()));
  }
  BIF_ASSIGN_OR_RETURN(const std::vector<uint32_t> ordinals,
                       context.datasets.OrdinalsOf(dataset, spec.pilot_sample_ids));
  absl::flat_hash_set<uint32_t> seen;
  for (size_t i = 0; i < ordinals.size(); ++i) {
    if (seen.insert(ordinals[i]).second) continue;
    return FieldError(absl::StrCat("target.pilot_sample_ids[", i, "]"),
                      absl::StrCat("names ", spec.pilot_sample_ids[i], " again"));
  }
  record.set_pilot_dataset(dataset.id());
  record.mutable_pilot_sample_ids()->Assign(spec.pilot_sample_ids.begin(),
                                            spec.pilot_sample_ids.end());
  record.mutable_pilot_ordinals()->Assign(ordinals.begin(), ordinals.end());
  return record;
}

Stopping FromRecord(const storage::pb::SamplingStop& record) {
  const storage::pb::SamplingTarget& target = record.target();
  Stopping stopping;
  stopping.target.target = {static_cast<TargetKind>(target.kind()), target.value(),
                            static_cast<int64_t>(target.k())};
  if (!target.pilot_dataset().empty())
    stopping.target.pilot_dataset = DatasetName(target.pilot_dataset());
  stopping.target.pilot_sample_ids.assign(target.pilot_sample_ids().begin(),
                                          target.pilot_sample_ids().end());
  stopping.target.max_draws_per_chain = target.max_draws();
  stopping.target.max_time = absl::Microseconds(target.max_micros());
  stopping.reason = static_cast<StopReason>(record.reason());
  stopping.figure = record.figure();
  stopping.draws_per_chain = record.draws();
  stopping.predicted_draws = record.predicted_draws();
  stopping.explanation = record.explanation();
  return stopping;
}

bool SameTarget(const storage::pb::SamplingTarget& a, const storage::pb::SamplingTarget& b) {
  return a.SerializeAsString() == b.SerializeAsString();  // no maps: equal messages, equal bytes
}

bool IsCheckPoint(uint32_t draws) {
  if (draws < kFirstCheckPoint) return false;
  const uint32_t quarter = std::bit_floor(draws) / 4;
  return draws % quarter == 0;
}

bool IsCheckDue(const storage::pb::SamplingStop& stop, uint32_t draws) {
  if (draws == 0 || stop.reason() != static_cast<uint32_t>(StopReason::kGoesOn)) return false;
  return IsCheckPoint(draws) || draws == stop.first_draw() || draws >= stop.target().max_draws();
}

}  // namespace bif::jobs
