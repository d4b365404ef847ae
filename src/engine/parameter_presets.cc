#include "src/engine/parameter_presets.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace bif::engine {
namespace {

using Globs = std::vector<std::string>;

// GPT-2's files on the Hub begin with the layer ("h.0.attn..."), so a glob must not want a dot
// before that.
const Globs& Attention() {
  static const Globs& globs = *new Globs{"*.attn.*", "*.attention.*", "*.self_attn.*"};
  return globs;
}

const Globs& LayerNorm() {
  static const Globs& globs = *new Globs{"*ln_1.*", "*ln_2.*", "*ln_f.*", "*norm.*"};
  return globs;
}

Globs Layer(absl::string_view number) {
  uint32_t layer = 0;
  if (!absl::SimpleAtoi(number, &layer)) return {};
  return {absl::StrCat("h.", layer, ".*"), absl::StrCat("*.h.", layer, ".*"),
          absl::StrCat("layers.", layer, ".*"), absl::StrCat("*.layers.", layer, ".*")};
}

}  // namespace

std::vector<std::string> PresetGlobs(std::string_view preset) {
  absl::string_view name(preset.data(), preset.size());
  if (name == "attention") return Attention();
  if (name == "attention_and_mlp") {
    Globs globs = Attention();
    globs.push_back("*.mlp.*");
    return globs;
  }
  if (name == "layer_norm") return LayerNorm();
  if (name == "lora") return {"*.lora_A.*", "*.lora_B.*"};
  if (absl::ConsumePrefix(&name, "layer:")) return Layer(name);
  return {};
}

std::string PresetNames() { return "attention, attention_and_mlp, layer_norm, lora, layer:N"; }

}  // namespace bif::engine
