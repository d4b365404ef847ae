// Walks through all pages of a List method.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "client/status_macros.h"

namespace bif::client {

// Calls `fetch` with `request`, then with every next page's token, and gives each response to
// `use`. Stops at the first error of either. A server that answers a page with the token of that
// same page would be asked for ever: INTERNAL.
template <typename Response, typename Request>
absl::Status ForEachPage(Request request,
                         absl::FunctionRef<absl::StatusOr<Response>(const Request&)> fetch,
                         absl::FunctionRef<absl::Status(Response)> use) {
  while (true) {
    CLIENT_ASSIGN_OR_RETURN(Response response, fetch(request));
    std::string next = response.next_page_token();
    CLIENT_RETURN_IF_ERROR(use(std::move(response)));
    if (next.empty()) return absl::OkStatus();
    if (next == request.page_token()) {
      return absl::InternalError("the server answered a page with that page's own token");
    }
    request.set_page_token(std::move(next));
  }
}

// All pages as one response, or, if `limit` is above 0, as many pages as hold `limit` entries.
// `count` is how many entries a response holds. The token of the page after the last one read is
// kept, so an empty token means that nothing is missing.
template <typename Response, typename Request>
absl::StatusOr<Response> CollectPages(
    Request request, absl::FunctionRef<absl::StatusOr<Response>(const Request&)> fetch,
    absl::FunctionRef<int64_t(const Response&)> count, int64_t limit = 0) {
  if (limit > 0) request.set_page_size(static_cast<int32_t>(std::min<int64_t>(limit, 10000)));
  Response all;
  bool enough = false;
  absl::Status status =
      ForEachPage<Response, Request>(std::move(request), fetch, [&](Response page) -> absl::Status {
        all.clear_next_page_token();
        all.MergeFrom(page);
        enough = limit > 0 && count(all) >= limit;
        // Any error ends the walk; this one is not handed on.
        return enough ? absl::CancelledError() : absl::OkStatus();
      });
  if (!status.ok() && !enough) return status;
  return all;
}

}  // namespace bif::client
