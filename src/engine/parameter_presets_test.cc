#include "src/engine/parameter_presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/engine.h"

namespace bif::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;
using Names = std::vector<std::string>;

// A transformer of twelve layers, under the names that its files on the Hugging Face Hub have.
struct Architecture {
  std::string name;
  Names outside;      // of every layer, and no normalisation
  Names outer_norms;  // of no layer
  std::string layer;  // before a layer's number
  Names attention, mlp, norms;
};

Names Biased(const Names& layers) {
  Names names;
  for (const std::string& layer : layers) {
    names.push_back(layer + ".weight");
    names.push_back(layer + ".bias");
  }
  return names;
}

// The files of gpt2 leave out the prefix "transformer." that save_pretrained writes.
Architecture Gpt2(const std::string& prefix) {
  return {absl::StrCat("gpt2", prefix.empty() ? "_hub" : ""),
          {prefix + "wte.weight", prefix + "wpe.weight"},
          Biased({prefix + "ln_f"}),
          prefix + "h.",
          Biased({"attn.c_attn", "attn.c_proj"}),
          Biased({"mlp.c_fc", "mlp.c_proj"}),
          Biased({"ln_1", "ln_2"})};
}

Architecture LlamaLike(const std::string& name, const Names& attention, const Names& outside) {
  return {name,
          outside,
          {"model.norm.weight"},
          "model.layers.",
          attention,
          {"mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"},
          {"input_layernorm.weight", "post_attention_layernorm.weight"}};
}

std::vector<Architecture> Architectures() {
  Names qwen2 = Biased({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"});
  qwen2.push_back("self_attn.o_proj.weight");
  return {Gpt2("transformer."),
          Gpt2(""),
          {"gpt_neox",
           {"gpt_neox.embed_in.weight", "embed_out.weight"},
           Biased({"gpt_neox.final_layer_norm"}),
           "gpt_neox.layers.",
           Biased({"attention.query_key_value", "attention.dense"}),
           Biased({"mlp.dense_h_to_4h", "mlp.dense_4h_to_h"}),
           Biased({"input_layernorm", "post_attention_layernorm"})},
          LlamaLike("llama",
                    {"self_attn.q_proj.weight", "self_attn.k_proj.weight",
                     "self_attn.v_proj.weight", "self_attn.o_proj.weight"},
                    {"model.embed_tokens.weight", "lm_head.weight"}),
          LlamaLike("qwen2", qwen2, {"model.embed_tokens.weight"})};
}

class ParameterPresets : public ::testing::TestWithParam<Architecture> {
 protected:
  ParameterPresets() {
    const auto add = [&](const std::string& name) { parameters_.push_back({name, {2}, 2}); };
    std::for_each(GetParam().outside.begin(), GetParam().outside.end(), add);
    for (int layer = 0; layer < 12; ++layer) {
      for (const Names* part : {&GetParam().attention, &GetParam().mlp, &GetParam().norms}) {
        for (const std::string& name : *part) add(absl::StrCat(GetParam().layer, layer, ".", name));
      }
    }
    std::for_each(GetParam().outer_norms.begin(), GetParam().outer_norms.end(), add);
  }

  Names Selected(const ParameterFilter& filter) {
    const auto moving = SelectParameters(parameters_, filter);
    EXPECT_TRUE(moving.ok()) << moving.status();
    Names names;
    if (!moving.ok()) return names;
    for (const MovingRange& range : moving->ranges)
      names.push_back(parameters_[static_cast<size_t>(range.parameter)].name);
    return names;
  }
  Names OfLayers(const std::vector<const Names*>& parts, int first = 0, int end = 12) {
    Names names;
    for (int layer = first; layer < end; ++layer) {
      for (const Names* part : parts) {
        for (const std::string& name : *part)
          names.push_back(absl::StrCat(GetParam().layer, layer, ".", name));
      }
    }
    return names;
  }

  std::vector<ParameterInfo> parameters_;
};

TEST_P(ParameterPresets, SelectWhatTheySay) {
  const Architecture& a = GetParam();
  EXPECT_THAT(Selected({.presets = {"attention"}}),
              UnorderedElementsAreArray(OfLayers({&a.attention})));
  EXPECT_THAT(Selected({.presets = {"attention_and_mlp"}}),
              UnorderedElementsAreArray(OfLayers({&a.attention, &a.mlp})));
  Names norms = OfLayers({&a.norms});
  norms.insert(norms.end(), a.outer_norms.begin(), a.outer_norms.end());
  EXPECT_THAT(Selected({.presets = {"layer_norm"}}), UnorderedElementsAreArray(norms));
}

TEST_P(ParameterPresets, ALayerIsAllOfThatLayerAndOfNoOther) {
  const Architecture& a = GetParam();
  EXPECT_THAT(Selected({.presets = {"layer:1"}}),
              UnorderedElementsAreArray(OfLayers({&a.attention, &a.mlp, &a.norms}, 1, 2)));
  EXPECT_THAT(Selected({.presets = {"layer:11"}}),
              UnorderedElementsAreArray(OfLayers({&a.attention, &a.mlp, &a.norms}, 11, 12)));
  EXPECT_EQ(FieldPath(SelectParameters(parameters_, {.presets = {"layer:12"}}).status()),
            "parameters.presets[0]");
}

TEST_P(ParameterPresets, JoinWithIncludeAndYieldToExclude) {
  const Architecture& a = GetParam();
  Names wanted = OfLayers({&a.attention}, 0, 11);
  wanted.push_back(a.outside[0]);
  EXPECT_THAT(Selected({{a.outside[0]}, {"*.11.*"}, {"attention"}}),
              UnorderedElementsAreArray(wanted));
}

TEST_P(ParameterPresets, LoraSelectsAdaptersAlone) {
  EXPECT_EQ(FieldPath(SelectParameters(parameters_, {.presets = {"attention", "lora"}}).status()),
            "parameters.presets[1]");
  const std::string adapted =
      absl::StrCat("base_model.model.", GetParam().layer, "3.", GetParam().attention[0]);
  const Names adapters = {absl::StrCat(adapted.substr(0, adapted.rfind('.')), ".lora_A.weight"),
                          absl::StrCat(adapted.substr(0, adapted.rfind('.')), ".lora_B.weight")};
  for (const std::string& name : adapters) parameters_.push_back({name, {2}, 2});
  EXPECT_THAT(Selected({.presets = {"lora"}}), UnorderedElementsAreArray(adapters));
}

INSTANTIATE_TEST_SUITE_P(Architecture, ParameterPresets, ::testing::ValuesIn(Architectures()),
                         [](const auto& test) { return test.param.name; });

TEST(ParameterPreset, OneThatIsUnknownIsRefusedWithTheNamesThereAre) {
  for (const std::string name : {"attn", "", "layer:", "layer:one", "layer:-1"}) {
    const absl::Status status =
        SelectParameters({{"h.0.attn.c_attn.weight", {2}, 2}}, {.presets = {name}}).status();
    EXPECT_EQ(FieldPath(status), "parameters.presets[0]") << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("attention_and_mlp")) << name;
  }
}

}  // namespace
}  // namespace bif::engine
