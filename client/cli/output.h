// How answers look: aligned tables for people, protobuf JSON for programs.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"

namespace bif::client {

// Columns as wide as their widest cell, two spaces apart; numbers to the right. UTF-8 is counted in
// code points.
class Table {
 public:
  // A heading that starts with '>' is a column of numbers; the mark is not printed.
  explicit Table(const std::vector<std::string>& headings);
  void Add(std::vector<std::string> cells);
  void Print(std::ostream& out) const;
  size_t rows() const { return rows_.size(); }

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// "name  value" lines of one resource; lines with an empty value are left out.
class Fields {
 public:
  Fields& Add(const std::string& name, const std::string& value);
  void Print(std::ostream& out) const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// The protobuf JSON mapping, default values included, on several lines with a newline at the end.
void PrintJson(std::ostream& out, const google::protobuf::Message& message);
// The same on one line, for streams.
void PrintJsonLine(std::ostream& out, const google::protobuf::Message& message);

std::string Count(int64_t value);                            // 1234567 -> 1,234,567
std::string Bytes(int64_t bytes);                            // 1536 -> 1.5 KiB
std::string Number(double value);                            // 4 significant digits
std::string ScoreText(double value, double standard_error);  // -0.0123 ± 0.0021
std::string DurationText(absl::Duration duration);  // 1 h 02 min, 3 min 07 s, 12.3 s, 8.1 ms
std::string DurationText(const google::protobuf::Duration& duration);
std::string TimeText(const google::protobuf::Timestamp& time);                 // UTC, to the second
std::string ShapeText(const google::protobuf::RepeatedField<int64_t>& shape);  // [28, 28]
// An enum value as options spell it: RMSPROP_SGLD -> rmsprop-sgld.
std::string Kebab(const std::string& enum_name);

}  // namespace bif::client
