#include "src/jobs/tenant.h"

#include <algorithm>

namespace bif::jobs {

std::string ScopedId(std::string_view tenant, std::string_view id) {
  if (tenant == kDefaultTenant) return std::string(id);
  std::string scoped(tenant);
  scoped += kTenantMark;
  scoped += id;
  return scoped;
}

std::string TenantOf(std::string_view id) {
  const size_t mark = id.find(kTenantMark);
  return mark == std::string_view::npos ? kDefaultTenant : std::string(id.substr(0, mark));
}

std::string_view WithoutTenant(std::string_view id) {
  const size_t mark = id.find(kTenantMark);
  return mark == std::string_view::npos ? id : id.substr(mark + 1);
}

bool IsTenantId(std::string_view text) {
  constexpr size_t kLongest = 31;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= kLongest && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), fits);
}

}  // namespace bif::jobs
