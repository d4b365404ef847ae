// What each method of the API asks of its caller. Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "src/jobs/tenants.h"

namespace bif::server {

struct MethodRule {
  jobs::Role role = jobs::Role::kAdmin;  // the least
  // Whether it may name what another tenant shares: it then only reads that.
  bool reads_shared = false;
};

// `method` like "bif.v1.Datasets/GetSample". nullopt: the API has no such method.
std::optional<MethodRule> RuleOf(std::string_view method);

}  // namespace bif::server
