// JSON of a stranger. The parser's own rule for a name that stands in an object twice, that the
// last one wins, would let a file say two things; here it is found out. Pure function.
#pragma once

#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace bif {

struct StrictJson {
  nlohmann::json value;  // discarded if the text is not JSON
  std::string repeated;  // the first name that stands in one object twice; empty: there is none
};

StrictJson ParseStrictJson(std::string_view text);

}  // namespace bif
