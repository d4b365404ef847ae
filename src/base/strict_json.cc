#include "src/base/strict_json.h"

#include <set>
#include <vector>

namespace bif {

StrictJson ParseStrictJson(std::string_view text) {
  using nlohmann::json;
  StrictJson result;
  std::vector<std::set<std::string>> open_objects;  // the names seen in each, outermost first
  const auto see = [&](int, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        open_objects.emplace_back();
        break;
      case json::parse_event_t::object_end:
        open_objects.pop_back();
        break;
      case json::parse_event_t::key: {
        const std::string& name = parsed.get_ref<const std::string&>();
        if (!open_objects.back().insert(name).second && result.repeated.empty())
          result.repeated = name;
        break;
      }
      default:
        break;
    }
    return true;
  };
  result.value = json::parse(text.begin(), text.end(), see, /*allow_exceptions=*/false);
  return result;
}

}  // namespace bif
