// A tiny exported language model (tests/golden/make_programs.py: next_token.pt2, a vocabulary of
// 11) and token sequences for it, brought into a running daemon through the client library.
// Functions throw if the daemon refuses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/client.h"

namespace bif::testing {

using TokenIds = std::vector<int32_t>;

// Columns "tokens" (int32, of any length) and "mask" (uint8), the mask 0 at every third position.
bif::v1::Sample SequenceSample(const std::string& id, const TokenIds& tokens);

// Sequences of 4 to 20 tokens, row after row the same for every call.
TokenIds SequenceTokens(int row);

// The checkpoint's name.
std::string MakeLanguageModel(client::Client& client, uint32_t max_tokens);

// Creates the dataset and appends the samples.
std::string MakeSequences(client::Client& client, const std::string& id,
                          const std::vector<bif::v1::Sample>& samples);

bif::v1::CreatePosteriorRequest LanguageModelPosterior(const std::string& checkpoint,
                                                       const std::string& dataset);

}  // namespace bif::testing
