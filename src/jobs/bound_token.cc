#include "src/jobs/bound_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"

namespace bif::jobs {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// A token is base64(16 hex digits of the checksum over all three, then the position).
constexpr size_t kChecksumDigits = 16;

std::string TokenChecksum(std::string_view kind, std::string_view bound_to,
                          std::string_view position) {
  const std::string bytes =
      absl::StrCat(View(kind), bound_to.size(), ":", View(bound_to), View(position));
  return absl::StrCat(absl::Hex(Checksum(bytes), absl::kZeroPad16));
}

}  // namespace

std::string BoundToken(std::string_view kind, std::string_view bound_to,
                       std::string_view position) {
  std::string token;
  absl::WebSafeBase64Escape(absl::StrCat(TokenChecksum(kind, bound_to, position), View(position)),
                            &token);
  return token;
}

std::optional<std::string> PositionOf(std::string_view token, std::string_view kind,
                                      std::string_view bound_to) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(View(token), &bytes) || bytes.size() <= kChecksumDigits)
    return std::nullopt;
  std::string position = bytes.substr(kChecksumDigits);
  if (bytes.substr(0, kChecksumDigits) != TokenChecksum(kind, bound_to, position))
    return std::nullopt;
  return position;
}

}  // namespace bif::jobs
