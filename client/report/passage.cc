#include "client/report/passage.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace bif::client {
namespace {

using kainjow::mustache::data;

constexpr size_t kStrongest = 3;

// "−0.012 ± 0.003, helps".
std::string Told(float score, float error, bool helps) {
  const std::string number = absl::StrFormat("%.2g ± %.1g", score, error);
  return absl::StrCat(absl::StrReplaceAll(number, {{"-", "−"}}), score == 0 ? ""
                                                                 : helps    ? ", helps"
                                                                            : ", hurts");
}

// What a token looks like where there is no room for spaces and line breaks.
std::string Short(const std::string& piece) {
  const std::string bare(absl::StripAsciiWhitespace(piece));
  return bare.empty() ? "␣" : bare;
}

float Largest(const std::vector<float>& scores) {
  float largest = 0;
  for (const float score : scores) {
    if (std::isfinite(score)) largest = std::max(largest, std::abs(score));
  }
  return largest;
}

bool Helps(const TokenHeat& heat, float score) { return (score > 0) == heat.positive_helps; }

// A colour whose strength is the share of the largest score.
data Tint(const TokenHeat& heat, float score, float error, float largest, const std::string& what) {
  data tint;
  const float share = largest > 0 && std::isfinite(score) ? std::abs(score) / largest : 0;
  tint["side"] = Helps(heat, score) ? "helps" : "hurts";
  tint["strength"] = absl::StrFormat("%.2f", share);
  tint["told"] = absl::StrCat(what, ": ", Told(score, error, Helps(heat, score)));
  return tint;
}

const std::string& PieceAt(const std::vector<std::string>& pieces, size_t position) {
  static const std::string& none = *new std::string("?");
  return position < pieces.size() ? pieces[position] : none;
}

float At(const std::vector<float>& values, size_t i) { return i < values.size() ? values[i] : 0; }

}  // namespace

data Passage(const std::vector<std::string>& pieces) {
  data tokens(data::type::list);
  for (const std::string& piece : pieces) {
    data token;
    token["piece"] = piece;
    token["tint"] = data(data::type::bool_false);
    tokens << token;
  }
  return tokens;
}

data Passage(const std::vector<std::string>& pieces, const TokenHeat& heat) {
  const float largest = Largest(heat.completions);
  data tokens(data::type::list);
  for (size_t p = 0; p < pieces.size(); ++p) {
    data token;
    token["piece"] = pieces[p];
    token["tint"] = data(data::type::bool_false);
    if (p >= heat.first_row && p - heat.first_row < heat.completions.size()) {
      const size_t row = p - heat.first_row;
      token["tint"] = Tint(heat, heat.completions[row], At(heat.completion_errors, row), largest,
                           Short(pieces[p]));
    }
    tokens << token;
  }
  return tokens;
}

data HeatMap(const std::vector<std::string>& training, const std::vector<std::string>& query,
             const TokenHeat& heat) {
  const size_t all_columns = heat.columns;
  const size_t all_rows = all_columns == 0 ? 0 : heat.scores.size() / all_columns;
  const size_t rows = std::min(all_rows, kLargestMap), columns = std::min(all_columns, kLargestMap);
  const float largest = Largest(heat.scores);
  const auto pair = [&](size_t i, size_t j) {
    return absl::StrCat(Short(PieceAt(training, heat.first_row + i)), " × ",
                        Short(PieceAt(query, heat.first_column + j)));
  };

  data map;
  data heads(data::type::list), lines(data::type::list);
  for (size_t j = 0; j < columns; ++j) {
    data head;
    head["piece"] = Short(PieceAt(query, heat.first_column + j));
    heads << head;
  }
  for (size_t i = 0; i < rows; ++i) {
    data line, cells(data::type::list);
    line["piece"] = Short(PieceAt(training, heat.first_row + i));
    for (size_t j = 0; j < columns; ++j) {
      const size_t at = i * all_columns + j;
      cells << Tint(heat, heat.scores[at], At(heat.standard_errors, at), largest, pair(i, j));
    }
    line["cells"] = std::move(cells);
    lines << line;
  }
  map["columns"] = std::move(heads);
  map["rows"] = std::move(lines);

  std::vector<size_t> order(all_rows * all_columns);
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t shown = std::min(kStrongest, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](size_t a, size_t b) {
                      const float x = std::abs(heat.scores[a]), y = std::abs(heat.scores[b]);
                      return x != y ? x > y : a < b;
                    });
  std::vector<std::string> strongest;
  for (size_t k = 0; k < shown; ++k) {
    const size_t at = order[k];
    strongest.push_back(absl::StrCat(
        pair(at / all_columns, at % all_columns), " (",
        Told(heat.scores[at], At(heat.standard_errors, at), Helps(heat, heat.scores[at])), ")"));
  }
  map["strongest"] = absl::StrJoin(strongest, "; ");
  map["cut"] = all_rows > rows || all_columns > columns
                   ? absl::StrCat("The first ", rows, " × ", columns, " of ", all_rows, " × ",
                                  all_columns, " tokens.")
                   : "";
  return map;
}

}  // namespace bif::client
