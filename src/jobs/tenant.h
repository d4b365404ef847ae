// Whose a resource is. An id of the default tenant is as its user gave it; any other tenant's is
// "<tenant>~<id>", in every name, record and key. The server puts the caller's tenant in front of
// what they name and takes it off what they are told, so that a tenant cannot even speak of what is
// not theirs. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace bif::jobs {

inline constexpr char kDefaultTenant[] = "default";
inline constexpr char kTenantMark = '~';  // in no tenant's and no user's id

// "vision", "cifar" -> "vision~cifar"; "default", "cifar" -> "cifar".
std::string ScopedId(std::string_view tenant, std::string_view id);

std::string TenantOf(std::string_view id);
std::string_view WithoutTenant(std::string_view id);

// [a-z][a-z0-9-]{0,30}
bool IsTenantId(std::string_view text);

}  // namespace bif::jobs
