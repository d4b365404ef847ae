// Checked access to the members of a JSON object from a stranger's file: a missing member or one of
// another type is INVALID_ARGUMENT and names the key; nothing throws. The caller adds where the
// object stands (Annotate).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace bif::engine {

using Json = nlohmann::json;

// `what` names the document in the message. Strict JSON, but for numbers that do not fit, which
// come out as infinities.
absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view what);

// Pointers are never null and live as long as the object.
absl::StatusOr<const Json*> Field(const Json& object, const char* key);
absl::StatusOr<const Json*> ObjectField(const Json& object, const char* key);
absl::StatusOr<const Json*> ArrayField(const Json& object, const char* key);
absl::StatusOr<std::string> StringField(const Json& object, const char* key);
absl::StatusOr<int64_t> IntField(const Json& object, const char* key);
absl::StatusOr<bool> BoolField(const Json& object, const char* key);

// The same for a value that is at hand; `what` names it in the message.
absl::StatusOr<std::string> AsString(const Json& value, std::string_view what);
absl::StatusOr<int64_t> AsInt(const Json& value, std::string_view what);
absl::StatusOr<bool> AsBool(const Json& value, std::string_view what);
// Numbers, and the strings "Infinity", "-Infinity" and "NaN" that torch.export writes for what JSON
// cannot say.
absl::StatusOr<double> AsDouble(const Json& value, std::string_view what);

// The schema's unions are objects with exactly one member that is not null: {"as_int": 3}.
struct UnionMember {
  std::string kind;
  const Json* value = nullptr;
};
absl::StatusOr<UnionMember> AsUnion(const Json& value, std::string_view what);

}  // namespace bif::engine
