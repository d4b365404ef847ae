#include "client/cli/target_options.h"

#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/session.h"
#include "client/status_macros.h"

namespace bif::client {

void AddTargetOptions(CLI::App* command, TargetOptions& options) {
  command->add_option("--target-standard-error", options.standard_error,
                      "sample until the median standard error of the pilot queries' normalised "
                      "scores is at most this; --draws is then the most that is sampled");
  command->add_option("--target-worst-standard-error", options.worst_standard_error,
                      "the same for the largest standard error");
  command->add_option("--target-stability", options.stability,
                      "sample until this share of a pilot query's top k stays when draws are "
                      "resampled");
  command->add_option("--target-distinguishable", options.distinguishable,
                      "sample until this share of pairs can be told from zero");
  command->add_option("--target-k", options.k, "the k of --target-stability")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--pilot", options.pilot,
                   "the pilot queries of a target (default: 16 training samples)")
      ->type_name("DATASET/ID");
  command->add_option("--max-time", options.max_seconds, "a target's budget in seconds of sampling")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
}

absl::StatusOr<std::optional<v1::SamplingTarget>> MakeTarget(const TargetOptions& options,
                                                             uint32_t most_draws) {
  v1::SamplingTarget target;
  int targets = 0;
  for (const auto& [value, kind] :
       {std::pair{options.standard_error, v1::MEDIAN_STANDARD_ERROR},
        std::pair{options.worst_standard_error, v1::WORST_STANDARD_ERROR},
        std::pair{options.stability, v1::TOP_K_STABILITY},
        std::pair{options.distinguishable, v1::DISTINGUISHABLE_SHARE}}) {
    if (!value) continue;
    ++targets;
    target.set_kind(kind);
    target.set_value(*value);
  }
  if (targets > 1) return UsageError("two targets: give one of them");
  if (targets == 0) {
    if (!options.pilot.empty() || options.max_seconds > 0)
      return UsageError("--pilot and --max-time belong to a target, such as --target-stability");
    return std::nullopt;
  }
  if (target.kind() == v1::TOP_K_STABILITY) target.set_k(options.k);
  if (!options.pilot.empty()) {
    CLIENT_ASSIGN_OR_RETURN(const v1::SampleSet pilot, ParseSampleSet(options.pilot));
    if (pilot.sample_ids().empty())
      return UsageError("--pilot takes samples one by one, not all of a dataset");
    target.set_pilot_dataset(pilot.dataset());
    *target.mutable_pilot_sample_ids() = pilot.sample_ids();
  }
  target.set_max_draws_per_chain(most_draws);
  if (options.max_seconds > 0) *target.mutable_max_time() = DurationOfSeconds(options.max_seconds);
  if (most_draws == 0 && options.max_seconds <= 0)
    return UsageError("a target needs a budget: --draws N, the most for each chain, or --max-time");
  return target;
}

}  // namespace bif::client
