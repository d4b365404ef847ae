// Who makes a call. A plain value.
#pragma once

#include <string>

#include "src/jobs/tenants.h"

namespace bif::server {

struct Caller {
  std::string tenant = jobs::kDefaultTenant;
  jobs::Role role = jobs::Role::kRead;
  std::string token_id;  // empty: they came without one
  std::string trace_id;  // of W3C trace context, 32 hexadecimal digits; empty: there is none
};

}  // namespace bif::server
