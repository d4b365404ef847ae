// A setting of the daemon: a value of DaemonConfig with its two names, the field of the
// configuration file and the flag. Both are read as text by the same function, so that they cannot
// disagree on what is allowed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace bif::server {

// How a value is read from text and shown as text. The functions refer to the variable that the
// value was made for, which must outlive them.
struct SettingValue {
  // INVALID_ARGUMENT, in words that say what to give instead, leaves the variable as it is. Gets
  // exactly one text, unless `list`.
  std::function<absl::Status(const std::vector<std::string>&)> set;
  std::function<std::string()> show;
  bool list = false;
};

using TextCheck = std::function<absl::Status(const std::string&)>;
SettingValue TextValue(std::string& variable, TextCheck check = nullptr);
SettingValue BoolValue(bool& variable);  // "true" or "false"
SettingValue WholeValue(int& variable, int64_t least, int64_t most);
SettingValue WholeValue(int64_t& variable, int64_t least, int64_t most);
SettingValue SecondsValue(absl::Duration& variable, double least, double most);
// Each must be there when it is set.
SettingValue FoldersValue(std::vector<std::string>& variable);

enum class Takes { kRestart, kReload };  // before a change counts

struct Setting {
  std::string field;  // dotted, within bif.config.v1.DaemonConfig
  std::string flag;   // with its dashes
  std::string help;   // after the flag, in --help
  SettingValue value;
  Takes takes = Takes::kRestart;
};

}  // namespace bif::server
