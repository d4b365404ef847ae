// A line chart as inline SVG, drawn with the page's own colours so that it follows dark mode. Pure.
#pragma once

#include <string>
#include <vector>

namespace bif::client {

struct ChartLine {
  std::string label;
  std::vector<float> values;  // against 0, 1, 2, ...; values that are not finite break the line
  bool dimmed = false;
};

struct Chart {
  std::string title;  // read out by screen readers
  std::string x_label;
  std::vector<ChartLine> lines;
  // A horizontal mark, e.g. the loss at the checkpoint. Drawn if it is finite.
  double mark = 0;
  std::string mark_label;  // empty: no mark
};

// An <svg> element of class "chart"; lines have the classes line0, line1, ... (line5 and up
// repeat), colours are CSS. Empty if no line has a finite value.
std::string DrawChart(const Chart& chart);

}  // namespace bif::client
