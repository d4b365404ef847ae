#include "src/engine/program_file/json_fields.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

absl::Status Not(std::string_view what, absl::string_view type) {
  return absl::InvalidArgumentError(absl::StrCat("'", std::string(what), "' is not ", type));
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view what) {
  Json parsed = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(what), " is not valid JSON"));
  }
  return parsed;
}

absl::StatusOr<const Json*> Field(const Json& object, const char* key) {
  if (!object.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("an object with '", key, "' is expected"));
  }
  const auto found = object.find(key);
  if (found == object.end())
    return absl::InvalidArgumentError(absl::StrCat("'", key, "' is missing"));
  return &*found;
}

absl::StatusOr<const Json*> ObjectField(const Json& object, const char* key) {
  BIF_ASSIGN_OR_RETURN(const Json* value, Field(object, key));
  if (!value->is_object()) return Not(key, "an object");
  return value;
}

absl::StatusOr<const Json*> ArrayField(const Json& object, const char* key) {
  BIF_ASSIGN_OR_RETURN(const Json* value, Field(object, key));
  if (!value->is_array()) return Not(key, "an array");
  return value;
}

absl::StatusOr<std::string> StringField(const Json& object, const char* key) {
  BIF_ASSIGN_OR_RETURN(const Json* value, Field(object, key));
  return AsString(*value, key);
}

absl::StatusOr<int64_t> IntField(const Json& object, const char* key) {
  BIF_ASSIGN_OR_RETURN(const Json* value, Field(object, key));
  return AsInt(*value, key);
}

absl::StatusOr<bool> BoolField(const Json& object, const char* key) {
  BIF_ASSIGN_OR_RETURN(const Json* value, Field(object, key));
  return AsBool(*value, key);
}

absl::StatusOr<std::string> AsString(const Json& value, std::string_view what) {
  if (!value.is_string()) return Not(what, "a string");
  return value.get<std::string>();
}

absl::StatusOr<int64_t> AsInt(const Json& value, std::string_view what) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return Not(what, "within 64 bits");
    return static_cast<int64_t>(number);
  }
  if (!value.is_number_integer()) return Not(what, "a whole number");
  return value.get<int64_t>();
}

absl::StatusOr<bool> AsBool(const Json& value, std::string_view what) {
  if (!value.is_boolean()) return Not(what, "true or false");
  return value.get<bool>();
}

absl::StatusOr<double> AsDouble(const Json& value, std::string_view what) {
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  }
  return Not(what, "a number");
}

absl::StatusOr<UnionMember> AsUnion(const Json& value, std::string_view what) {
  if (!value.is_object()) return Not(what, "an object with one member");
  UnionMember member;
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (item->is_null()) continue;
    if (member.value != nullptr) return Not(what, "an object with one member");
    member = {item.key(), &*item};
  }
  if (member.value == nullptr) return Not(what, "an object with one member");
  return member;
}

}  // namespace bif::engine
