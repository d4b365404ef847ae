// Random ids that make a create call safe to repeat: the server answers the same id and body with
// the same result.
#pragma once

#include <string>

namespace bif::client {

// A random UUID (RFC 4122, version 4), 36 characters. Thread-safe.
std::string NewRequestId();

// Fills `request`'s request_id if the caller has not chosen one.
template <typename Request>
void FillRequestId(Request& request) {
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
}

}  // namespace bif::client
