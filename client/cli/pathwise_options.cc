#include "client/cli/pathwise_options.h"

#include "client/cli/options.h"
#include "client/cli/session.h"

namespace bif::client {
namespace {

constexpr double kDefaultSeconds = 30;

}  // namespace

void AddPathwiseOptions(CLI::App* command, v1::PathwiseOptions& options) {
  command
      ->add_option_function<uint32_t>(
          "--pathwise-draws", [&options](uint32_t draws) { options.set_draws(draws); },
          "with the estimators pathwise and mixed: at how many draws slopes are taken, all chains "
          "together")
      ->check(CLI::PositiveNumber)
      ->default_str("80");
}

void AddRefineOptions(CLI::App* command, RefineArguments& arguments) {
  command
      ->add_option("--refine", arguments.estimator,
                   "after the scores from traces, slopes for the candidates that could still be "
                   "among the top k, as far as the budget goes")
      ->type_name("pathwise|mixed")
      ->check(CLI::IsMember({"pathwise", "mixed"}));
  CLI::Option* seconds = command
                             ->add_option("--refine-seconds", arguments.seconds,
                                          "the budget of --refine (default: 30)")
                             ->type_name("SECONDS")
                             ->check(CLI::PositiveNumber);
  command
      ->add_option("--refine-passes", arguments.passes,
                   "the budget of --refine in forward passes of one sample, with which the answer "
                   "does not depend on the machine's speed")
      ->check(CLI::PositiveNumber)
      ->excludes(seconds);
  command->add_flag("--refine-simultaneous", arguments.simultaneous,
                    "--refine with intervals that hold for all candidates at once");
}

absl::Status FillRefine(const RefineArguments& arguments, v1::AttributeRequest& request) {
  if (arguments.estimator.empty()) {
    if (arguments.seconds > 0 || arguments.passes > 0 || arguments.simultaneous)
      return UsageError(
          "--refine-seconds, --refine-passes and --refine-simultaneous need --refine");
    return absl::OkStatus();
  }
  v1::RefineOptions& refine = *request.mutable_refine();
  refine.set_estimator(arguments.estimator == "pathwise" ? v1::PATHWISE : v1::MIXED);
  refine.set_simultaneous(arguments.simultaneous);
  if (arguments.passes > 0) {
    refine.set_forward_passes(arguments.passes);
    return absl::OkStatus();
  }
  *refine.mutable_time() =
      DurationOfSeconds(arguments.seconds > 0 ? arguments.seconds : kDefaultSeconds);
  return absl::OkStatus();
}

}  // namespace bif::client
