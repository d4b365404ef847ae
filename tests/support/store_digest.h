// All that a store holds as one digest: two stores with the same digest give the same answers. What
// the catalog does not name counts for nothing. For tests.
#pragma once

#include <string>

#include "src/storage/store.h"

namespace bif::storage {

// Throws if something cannot be read: such a test cannot go on.
std::string DigestOf(Store& store);

}  // namespace bif::storage
