// Token sequences as text on the report: passages whose tokens are tinted by how much they help or
// hurt, and matrices of the scores between two sequences' tokens. What a finger or a mouse finds
// under a tint also stands in its title. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kainjow/mustache.hpp"

namespace bif::client {

// The scores between the tokens of a training sequence and those of a query, from position
// first_row and first_column on; scores[i * columns + j].
struct TokenHeat {
  uint32_t first_row = 1;
  uint32_t first_column = 1;
  uint32_t columns = 0;
  std::vector<float> scores, standard_errors;
  std::vector<float> completions, completion_errors;  // of each training token, with all columns
  bool positive_helps = false;
};

// A list of tokens for the template: {{piece}}, and where there is a score {{#tint}}.
kainjow::mustache::data Passage(const std::vector<std::string>& pieces);
// The training sequence, each token tinted by its score with the whole query.
kainjow::mustache::data Passage(const std::vector<std::string>& pieces, const TokenHeat& heat);

// For the template's heat map: {{#columns}}, {{#rows}} of {{#cells}}, and {{strongest}} in words.
// At most kLargestMap tokens a side are shown; {{cut}} says so.
kainjow::mustache::data HeatMap(const std::vector<std::string>& training,
                                const std::vector<std::string>& query, const TokenHeat& heat);

inline constexpr size_t kLargestMap = 64;

}  // namespace bif::client
