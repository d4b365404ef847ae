#include "src/jobs/pagination.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/bound_token.h"

namespace bif::jobs {
namespace {

constexpr char kPage[] = "page";

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
  std::optional<std::string> after = PositionOf(request.page_token, kPage, arguments);
  if (!after) {
    return FieldError(
        "page_token",
        "is not a token of this listing with these arguments; begin again with an empty one");
  }
  cursor.after = *std::move(after);
  return cursor;
}

std::string NextPageToken(std::string_view arguments, std::string_view after) {
  return BoundToken(kPage, arguments, after);
}

}  // namespace bif::jobs
