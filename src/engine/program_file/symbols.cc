#include "src/engine/program_file/symbols.h"

#include <cctype>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace bif::engine {
namespace {

constexpr int64_t kUnlimited = int64_t{1} << 31;

// The name in "Symbol('s77', positive=True, integer=True)" or "s77"; "" if the expression is
// anything more.
std::string PlainSymbol(absl::string_view expression) {
  if (absl::ConsumePrefix(&expression, "Symbol('")) {
    const size_t quote = expression.find('\'');
    if (quote == absl::string_view::npos || expression.find(')') != expression.size() - 1)
      return "";
    expression = expression.substr(0, quote);
  }
  for (const char letter : expression) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '_') return "";
  }
  return std::string(expression);
}

}  // namespace

std::optional<SymbolRange> RangeOf(const ProgramFile& file, const Dimension& dimension) {
  if (dimension.expression.empty()) return SymbolRange{dimension.size, dimension.size};
  const std::string symbol = PlainSymbol(dimension.expression);
  if (symbol.empty()) return std::nullopt;
  const auto found = file.symbols.find(symbol);
  if (found == file.symbols.end()) return SymbolRange{};
  SymbolRange range = found->second;
  if (range.max >= kUnlimited) range.max = -1;
  return range;
}

bool SameSize(const Dimension& a, const Dimension& b) {
  return a.expression.empty() == b.expression.empty() &&
         (a.expression.empty() ? a.size == b.size : a.expression == b.expression);
}

}  // namespace bif::engine
