// Tokens that a caller hands back later: a position, opaque to clients and bound to what it is a
// position in, so that it is not taken for one in something else. Pages of listings and streams of
// blocks have them. No secret: whoever makes one up sees what they may see anyway.
//
// Pure functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bif::jobs {

// `kind` keeps tokens of different uses apart: "page". `bound_to` is whatever selects what the
// position is in.
std::string BoundToken(std::string_view kind, std::string_view bound_to, std::string_view position);

// The position; nothing if the token is not one that BoundToken made of the same arguments.
std::optional<std::string> PositionOf(std::string_view token, std::string_view kind,
                                      std::string_view bound_to);

}  // namespace bif::jobs
