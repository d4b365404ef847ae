#include "src/jobs/posterior_record.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/sampler_settings_record.h"
#include "src/jobs/tenant.h"

namespace bif::jobs {

Posterior FromRecord(const storage::pb::PosteriorRecord& record) {
  Posterior posterior;
  posterior.name = PosteriorName(record.key());
  posterior.key = std::string(WithoutTenant(record.key()));
  posterior.display_name = record.display_name();
  posterior.checkpoint = CheckpointName(record.checkpoint());
  posterior.dataset = DatasetName(record.dataset());
  posterior.settings = FromRecord(record.settings());
  posterior.settings.draws_per_chain = record.draws_target();
  posterior.state = StateOf(record);
  posterior.state_reason = record.state_reason();
  for (const auto& chain : record.chains()) {
    posterior.chains.push_back({chain.index(), chain.diverged(), chain.reason(), chain.draws()});
  }
  posterior.draws_per_chain = record.draws_committed();
  posterior.steps_between_draws = record.steps_between_draws();
  posterior.training_samples = TrainingRowCount(record);
  posterior.moving_parameters = record.moving_parameters();
  posterior.disk_bytes = record.disk_bytes();
  posterior.numerics = record.numerics();
  posterior.create_time = absl::FromUnixMicros(record.create_time_unix_micros());
  posterior.sampling_time = absl::Microseconds(record.sampling_micros());
  posterior.operation = OperationName(record.operation());
  if (record.has_plan()) {
    engine::ExecutionPlan plan = FromRecord(record.plan());
    posterior.execution_plan = plan.ToString();
    posterior.compute = plan.compute;
    posterior.compute_reason = std::move(plan.compute_reason);
  }
  posterior.token_traces = record.token_traces();
  posterior.token_trace_type = TokenTraceTypeOf(record);
  if (record.has_stop()) posterior.stopping = FromRecord(record.stop());
  return posterior;
}

int64_t TrainingRowCount(const storage::pb::PosteriorRecord& record) {
  return record.training_rows() - record.excluded_rows_size();
}

std::vector<uint32_t> Posteriors::TrainingOrdinals(const storage::pb::PosteriorRecord& record) {
  std::vector<uint32_t> ordinals;
  ordinals.reserve(TrainingRowCount(record));
  int excluded = 0;
  for (uint32_t ordinal = 0; ordinal < record.training_rows(); ++ordinal) {
    if (excluded < record.excluded_rows_size() && record.excluded_rows(excluded) == ordinal) {
      ++excluded;
    } else {
      ordinals.push_back(ordinal);
    }
  }
  return ordinals;
}

std::vector<uint32_t> ActiveChains(const storage::pb::PosteriorRecord& record) {
  std::vector<uint32_t> active;
  for (const auto& chain : record.chains()) {
    if (!chain.diverged()) active.push_back(chain.index());
  }
  return active;
}

std::vector<float> SamplingLosses(const storage::pb::PosteriorRecord& record) {
  std::vector<float> losses;
  for (const auto& chain : record.chains()) {
    if (!chain.diverged())
      losses.insert(losses.end(), chain.sampling_loss().begin(), chain.sampling_loss().end());
  }
  return losses;
}

std::string DrawsKey(const PosteriorView& view) {
  return absl::StrCat(view.record.number(), "/", view.draws, "/",
                      absl::StrJoin(view.active_chains, ","));
}

std::string DivergenceSummary(const storage::pb::PosteriorRecord& record) {
  std::vector<std::string> reasons;
  for (const auto& chain : record.chains()) {
    if (chain.diverged())
      reasons.push_back(absl::StrCat("chain ", chain.index(), ": ", chain.reason()));
  }
  return absl::StrJoin(reasons, "; ");
}

std::vector<uint32_t> RandomSlots(int64_t rows, size_t count) {
  // Floyd's sample of distinct numbers; the generator's integers are fixed by the C++ standard.
  std::mt19937_64 random(20250101);
  const int64_t wanted = std::min<int64_t>(static_cast<int64_t>(count), rows);
  std::vector<uint32_t> slots;
  for (int64_t last = rows - wanted; last < rows; ++last) {
    const auto pick = static_cast<uint32_t>(random() % static_cast<uint64_t>(last + 1));
    const bool taken = std::find(slots.begin(), slots.end(), pick) != slots.end();
    slots.push_back(taken ? static_cast<uint32_t>(last) : pick);
  }
  std::sort(slots.begin(), slots.end());
  return slots;
}

}  // namespace bif::jobs
