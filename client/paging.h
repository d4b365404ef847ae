// Walks through all pages of a List method.
#pragma once

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

}  // namespace bif::client
