#include "client/cli/sampler_options.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/options.h"
#include "client/cli/replay_batches.h"
#include "client/cli/session.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

v1::SamplerSettings Preset(uint32_t batch_size, uint32_t chains, uint32_t draws, uint32_t burn_in,
                           double step_size, double nbeta, double gamma) {
  v1::SamplerSettings settings;
  settings.set_batch_size(batch_size);
  settings.set_chains(chains);
  settings.set_draws_per_chain(draws);
  settings.set_burn_in_steps(burn_in);
  settings.set_step_size(step_size);
  settings.set_nbeta(nbeta);
  settings.set_gamma(gamma);
  return settings;
}

}  // namespace

const std::map<std::string, v1::SamplerSettings>& SamplerPresets() {
  static const auto& presets = *new std::map<std::string, v1::SamplerSettings>{
      {"vision", Preset(256, 15, 1000, 10, 1e-4, 10, 1000)},
      {"language", Preset(64, 5, 1000, 100, 8e-7, 2000, 7000)},
      {"scaling", Preset(32, 4, 500, 0, 5e-6, 30, 300)},
      {"resnet9", Preset(1024, 4, 100, 0, 1e-5, 200, 10000)},
      {"language-b", Preset(64, 5, 100, 0, 5e-5, 30, 300)},
  };
  return presets;
}

const char* const kParameterPresets = "attention|attention_and_mlp|layer_norm|lora|layer:N";

bool IsParameterPreset(const std::string& name) {
  return absl::StartsWith(name, "layer:") || name == "attention" || name == "attention_and_mlp" ||
         name == "layer_norm" || name == "lora";
}

void AddSamplerOptions(CLI::App* command, SamplerOptions& options) {
  std::string names;
  for (const auto& [name, settings] : SamplerPresets()) {
    absl::StrAppend(&names, names.empty() ? "" : "|", name);
  }
  absl::StrAppend(&names, "|", kParameterPresets);
  AddRepeated(command, "--preset", options.presets,
              "settings from the paper, which flags override, or parameters that move beside "
              "those of --include")
      ->type_name(names)
      ->check([names](const std::string& name) {
        const bool known = SamplerPresets().contains(name) || IsParameterPreset(name);
        return known ? std::string() : name + " is none of " + names;
      });
  AddEnumOption(command, "--algorithm", options.algorithm, "how a chain moves")
      ->default_str("sgld");
  command->add_option("--step-size", options.step_size, "eps, the step size");
  command->add_option("--nbeta", options.nbeta,
                      "n times beta: multiplies the mean gradient of a batch");
  command->add_option("--gamma", options.gamma, "localisation: the pull towards the checkpoint");
  command->add_option("--chains", options.chains, "independent chains");
  command->add_option("--draws", options.draws, "draws kept of each chain");
  command->add_option("--burn-in", options.burn_in, "steps before the first draw");
  command
      ->add_option("--steps-between-draws", options.steps_between_draws,
                   "steps from one draw to the next, or auto: chosen from a pilot")
      ->type_name("N|auto");
  command->add_option("--batch-size", options.batch_size, "training samples a step");
  command->add_option("--seed", options.seed, "another seed is another posterior")
      ->capture_default_str();
  AddEnumOption(command, "--codec", options.codec, "how draws are stored");
  AddEnumOption(command, "--batch-order", options.batch_order, "how batches are picked");
  command->add_option(
      "--replay-batches", options.replay_batches,
      "a file of batches to use instead, as positions in the training samples: a JSON "
      "list of lists, or *.npy with a batch a row; after the last comes the first again");
  command->add_option("--weight-decay", options.weight_decay, "lambda");
  command->add_option("--noise-scale", options.noise_scale, "sigma; 0 turns the noise off");
  command->add_option("--rms-decay", options.rms_decay, "alpha of rmsprop-sgld");
  command->add_option("--rms-delta", options.rms_delta, "delta of rmsprop-sgld");
  command->add_option("--box", options.box, "half width of a box around the checkpoint's weights");
  AddEnumOption(command, "--random-streams", options.random_streams,
                "where noise and batches come from: devinterp repeats a run of that package from "
                "its seed");
  AddEnumOption(command, "--compute", options.compute,
                "what forward and backward passes compute in");
  AddRepeated(command, "--include", options.include, "glob of parameters that move (default: all)");
  AddRepeated(command, "--exclude", options.exclude, "glob of parameters that stay");
}

absl::StatusOr<v1::SamplerSettings> MakeSamplerSettings(const SamplerOptions& options) {
  v1::SamplerSettings settings;
  bool preset = false;
  for (const std::string& name : options.presets) {
    const auto found = SamplerPresets().find(name);
    if (found == SamplerPresets().end()) continue;
    if (preset) return UsageError("two presets of settings: --preset takes one of them");
    settings = found->second;
    preset = true;
  }
  for (const auto& [given, flag] : {std::pair{options.step_size.has_value(), "--step-size"},
                                    std::pair{options.nbeta.has_value(), "--nbeta"},
                                    std::pair{options.gamma.has_value(), "--gamma"}}) {
    if (!given && !preset) {
      return UsageError(absl::StrCat(flag, " has no default: give it, or a --preset"));
    }
  }
  settings.set_algorithm(options.algorithm);
  if (options.step_size) settings.set_step_size(*options.step_size);
  if (options.nbeta) settings.set_nbeta(*options.nbeta);
  if (options.gamma) settings.set_gamma(*options.gamma);
  if (options.weight_decay) settings.set_weight_decay(*options.weight_decay);
  if (options.noise_scale) settings.set_noise_scale(*options.noise_scale);
  if (options.rms_decay) settings.set_rms_decay(*options.rms_decay);
  if (options.rms_delta) settings.set_rms_delta(*options.rms_delta);
  if (options.box) settings.set_box(*options.box);
  if (options.chains) settings.set_chains(*options.chains);
  if (options.draws) settings.set_draws_per_chain(*options.draws);
  if (options.burn_in) settings.set_burn_in_steps(*options.burn_in);
  if (options.batch_size) settings.set_batch_size(*options.batch_size);
  if (options.steps_between_draws == "auto") {
    settings.set_steps_between_draws(0);
  } else if (!options.steps_between_draws.empty()) {
    uint32_t steps = 0;
    if (!absl::SimpleAtoi(options.steps_between_draws, &steps) || steps == 0) {
      return UsageError(absl::StrCat("--steps-between-draws is a number above 0 or auto, not '",
                                     options.steps_between_draws, "'"));
    }
    settings.set_steps_between_draws(steps);
  }
  settings.set_seed(options.seed);
  settings.set_batch_order(options.batch_order);
  if (options.replay_batches.empty()) {
    if (options.batch_order == v1::REPLAY)
      return UsageError("--batch-order replay needs the batches: --replay-batches FILE");
  } else {
    if (options.batch_order != v1::REPLAY && options.batch_order != v1::BATCH_ORDER_UNSPECIFIED)
      return UsageError("--replay-batches is for --batch-order replay");
    settings.set_batch_order(v1::REPLAY);
    CLIENT_RETURN_IF_ERROR(AddReplayBatches(options.replay_batches, settings));
  }
  settings.set_draw_codec(options.codec);
  settings.set_random_streams(options.random_streams);
  settings.set_compute(options.compute);
  for (const std::string& name : options.presets) {
    if (IsParameterPreset(name)) settings.mutable_parameters()->add_presets(name);
  }
  for (const auto& glob : options.include) settings.mutable_parameters()->add_include(glob);
  for (const auto& glob : options.exclude) settings.mutable_parameters()->add_exclude(glob);
  return settings;
}

}  // namespace bif::client
