// Names for the globs that select the usual parts of a transformer, under the names that GPT-2,
// GPT-NeoX (Pythia), Llama and Qwen2 have on the Hugging Face Hub, and others after them.
//
//   attention          the projections of every attention layer
//   attention_and_mlp  these and the feed-forward layers
//   layer_norm         the scales and shifts of every normalisation (LayerNorm, RMSNorm)
//   lora               low-rank adapters, as PEFT names them
//   layer:N            everything in layer N, counted from 0
//
// Embeddings, positions and the output layer are in none of them. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bif::engine {

// The globs of a preset; none if there is no such preset.
std::vector<std::string> PresetGlobs(std::string_view preset);

// "attention, attention_and_mlp, ...", for messages.
std::string PresetNames();

}  // namespace bif::engine
