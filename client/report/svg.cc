#include "client/report/svg.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace bif::client {
namespace {

constexpr double kWidth = 720, kHeight = 240;
constexpr double kLeft = 56, kRight = 12, kTop = 12, kBottom = 34;
constexpr size_t kLineClasses = 6;
// More points than pixels only make the page heavier: runs of values are averaged.
constexpr size_t kMaxPoints = 500;

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// A round step that cuts `span` into about four.
double TickStep(double span) {
  const double rough = span / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double nice : {1.0, 2.0, 2.5, 5.0}) {
    if (nice * power >= rough) return nice * power;
  }
  return 10 * power;
}

std::string Path(const std::vector<float>& values, size_t longest, const Range& y) {
  const size_t run = std::max<size_t>(1, (longest + kMaxPoints - 1) / kMaxPoints);
  std::string path;
  bool pen_down = false;
  for (size_t start = 0; start < values.size(); start += run) {
    const size_t end = std::min(values.size(), start + run);
    double sum = 0;
    for (size_t i = start; i < end; ++i) sum += values[i];
    const double mean = sum / static_cast<double>(end - start);
    if (!std::isfinite(mean)) {
      pen_down = false;
      continue;
    }
    const double at = (static_cast<double>(start + end - 1) / 2) /
                      std::max<double>(1, static_cast<double>(longest) - 1);
    absl::StrAppendFormat(&path, "%s%.1f %.1f", pen_down ? "L" : "M",
                          kLeft + at * (kWidth - kLeft - kRight),
                          kTop + (y.high - mean) / (y.high - y.low) * (kHeight - kTop - kBottom));
    pen_down = true;
  }
  return path;
}

}  // namespace

std::string DrawChart(const Chart& chart) {
  Range y;
  size_t longest = 0;
  for (const ChartLine& line : chart.lines) {
    for (const float value : line.values) y.Include(value);
    longest = std::max(longest, line.values.size());
  }
  if (y.low > y.high) return "";
  const bool marked = !chart.mark_label.empty() && std::isfinite(chart.mark);
  if (marked) y.Include(chart.mark);
  const double margin = y.high > y.low ? 0.06 * (y.high - y.low) : 0.5;
  y.low -= margin;
  y.high += margin;
  const auto y_at = [&](double value) {
    return kTop + (y.high - value) / (y.high - y.low) * (kHeight - kTop - kBottom);
  };

  std::string svg = absl::StrFormat("<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">",
                                    kWidth, kHeight);
  absl::StrAppend(&svg, "<title>", Escape(chart.title), "</title>");
  const double step = TickStep(y.high - y.low);
  for (double tick = std::ceil(y.low / step) * step; tick <= y.high; tick += step) {
    const double shown = std::abs(tick) < step / 1e6 ? 0 : tick;
    absl::StrAppendFormat(
        &svg,
        "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
        "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>",
        kLeft, kWidth - kRight, y_at(tick), y_at(tick), kLeft - 8, y_at(tick) + 4, shown);
  }
  absl::StrAppendFormat(&svg, "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\">1</text>", kLeft,
                        kHeight - 12);
  absl::StrAppendFormat(&svg,
                        "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%d</text>",
                        kWidth - kRight, kHeight - 12, longest);
  absl::StrAppendFormat(
      &svg, "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>",
      (kLeft + kWidth - kRight) / 2, kHeight - 12, Escape(chart.x_label));
  if (marked) {
    absl::StrAppendFormat(
        &svg,
        "<line class=\"mark\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>"
        "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
        kLeft, kWidth - kRight, y_at(chart.mark), y_at(chart.mark), kWidth - kRight,
        y_at(chart.mark) - 5, Escape(chart.mark_label));
  }
  for (size_t i = 0; i < chart.lines.size(); ++i) {
    const ChartLine& line = chart.lines[i];
    absl::StrAppend(&svg, "<path class=\"line line", i % kLineClasses, line.dimmed ? " dimmed" : "",
                    "\" d=\"", Path(line.values, longest, y), "\"><title>", Escape(line.label),
                    "</title></path>");
  }
  return svg + "</svg>";
}

}  // namespace bif::client
