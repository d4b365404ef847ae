#include "server/setting.h"

#include <filesystem>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

absl::Status NotWithin(const std::string& text, std::string_view kind, double least, double most) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not ", std::string(kind), " from ", least, " to ", most));
}

template <typename Integer>
SettingValue AnyWhole(Integer& variable, int64_t least, int64_t most) {
  return {.set = [&variable, least, most](const std::vector<std::string>& texts) -> absl::Status {
            Integer value = 0;
            if (!absl::SimpleAtoi(texts[0], &value) || value < least || value > most) {
              return NotWithin(texts[0], "a whole number", static_cast<double>(least),
                               static_cast<double>(most));
            }
            variable = value;
            return absl::OkStatus();
          },
          .show = [&variable] { return absl::StrCat(variable); }};
}

}  // namespace

SettingValue BoolValue(bool& variable) {
  return {.set = [&variable](const std::vector<std::string>& texts) -> absl::Status {
            if (texts[0] != "true" && texts[0] != "false") {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", texts[0], "' is neither true nor false"));
            }
            variable = texts[0] == "true";
            return absl::OkStatus();
          },
          .show = [&variable] { return variable ? "true" : "false"; }};
}

SettingValue TextValue(std::string& variable, TextCheck check) {
  return {.set = [&variable,
                  check = std::move(check)](const std::vector<std::string>& texts) -> absl::Status {
            if (check != nullptr) BIF_RETURN_IF_ERROR(check(texts[0]));
            variable = texts[0];
            return absl::OkStatus();
          },
          .show = [&variable] { return variable; }};
}

SettingValue WholeValue(int& variable, int64_t least, int64_t most) {
  return AnyWhole(variable, least, most);
}
SettingValue WholeValue(int64_t& variable, int64_t least, int64_t most) {
  return AnyWhole(variable, least, most);
}

SettingValue SecondsValue(absl::Duration& variable, double least, double most) {
  return {.set = [&variable, least, most](const std::vector<std::string>& texts) -> absl::Status {
            double seconds = 0;
            // Written so that NaN is refused too.
            if (!absl::SimpleAtod(texts[0], &seconds) || !(seconds >= least && seconds <= most)) {
              return NotWithin(texts[0], "a number of seconds", least, most);
            }
            variable = absl::Seconds(seconds);
            return absl::OkStatus();
          },
          .show = [&variable] { return absl::StrCat(absl::ToDoubleSeconds(variable)); }};
}

SettingValue FoldersValue(std::vector<std::string>& variable) {
  return {.set = [&variable](const std::vector<std::string>& texts) -> absl::Status {
            for (const std::string& folder : texts) {
              std::error_code ignored;
              if (std::filesystem::is_directory(folder, ignored)) continue;
              return absl::InvalidArgumentError(absl::StrCat(
                  "'", folder, "' is not a folder that is there; make it or leave it out"));
            }
            variable = texts;
            return absl::OkStatus();
          },
          .show = [&variable] { return absl::StrJoin(variable, ","); },
          .list = true};
}

}  // namespace bif::server
