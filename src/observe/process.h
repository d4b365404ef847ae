// What the operating system says of this process.
#pragma once

#include <cstdint>

namespace bif::observe {

// Resident memory in bytes; 0 where the system does not tell.
int64_t ResidentBytes();

}  // namespace bif::observe
