#include "src/jobs/pagination.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

// A token is base64(16 hex digits of the checksum over arguments and position, then the position).
constexpr size_t kChecksumDigits = 16;

std::string TokenChecksum(std::string_view arguments, std::string_view after) {
  const std::string bytes = absl::StrCat("page", arguments.size(), ":",
                                         absl::string_view(arguments.data(), arguments.size()),
                                         absl::string_view(after.data(), after.size()));
  return absl::StrCat(absl::Hex(Checksum(bytes), absl::kZeroPad16));
}

}  // namespace

absl::StatusOr<PageCursor> OpenPage(const PageRequest& request, std::string_view arguments,
                                    const PageLimits& limits) {
  if (request.page_size < 0) {
    return FieldError("page_size", absl::StrCat("must not be negative, is ", request.page_size));
  }
  PageCursor cursor;
  cursor.size = request.page_size == 0 ? limits.default_size
                                       : std::min<size_t>(request.page_size, limits.largest_size);
  if (request.page_token.empty()) return cursor;
  std::string token;
  const bool decoded =
      absl::WebSafeBase64Unescape(request.page_token, &token) && token.size() > kChecksumDigits;
  if (decoded) cursor.after = token.substr(kChecksumDigits);
  if (!decoded || token.substr(0, kChecksumDigits) != TokenChecksum(arguments, cursor.after)) {
    return FieldError(
        "page_token",
        "is not a token of this listing with these arguments; begin again with an empty one");
  }
  return cursor;
}

std::string NextPageToken(std::string_view arguments, std::string_view after) {
  std::string token;
  absl::WebSafeBase64Escape(
      absl::StrCat(TokenChecksum(arguments, after), absl::string_view(after.data(), after.size())),
      &token);
  return token;
}

}  // namespace bif::jobs
