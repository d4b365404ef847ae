// Pages of a listing. A token is opaque to clients and bound to the arguments of the call that it
// continues. Pure functions and plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/jobs/tenant.h"

namespace bif::jobs {

struct PageRequest {
  int32_t page_size = 0;                // 0: the default; too large: lowered; negative: an error
  std::string page_token;               // empty: the first page
  std::string tenant = kDefaultTenant;  // whose resources are listed
};

template <typename Item>
struct Page {
  std::vector<Item> items;
  std::string next_page_token;  // empty: there is no more
};

struct PageLimits {
  size_t default_size = 50;
  size_t largest_size = 1000;
};

// Where a page starts and how long it is.
struct PageCursor {
  size_t size = 0;
  std::string after;  // the position that the page before ended at; empty: the beginning
};

// `arguments` is whatever selects the listing, e.g. "samples of datasets/a". Fails with field
// errors on "page_size" and "page_token" (one that is not ours, or from a call with other
// arguments).
absl::StatusOr<PageCursor> OpenPage(const PageRequest& request, std::string_view arguments,
                                    const PageLimits& limits = {});

// The token of the page that begins behind `after`.
std::string NextPageToken(std::string_view arguments, std::string_view after);

}  // namespace bif::jobs
