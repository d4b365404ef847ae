// Globs on names: `*` matches any run of characters, also none and also dots; `?` matches one
// character.
#pragma once

#include <string_view>

namespace bif::engine {

inline bool GlobMatches(std::string_view glob, std::string_view name) {
  // Greedy with one point to return to: linear in glob * name, whatever the glob.
  size_t g = 0, n = 0, star = std::string_view::npos, after_star = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      after_star = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g;
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++after_star;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace bif::engine
