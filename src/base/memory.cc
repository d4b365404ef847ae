#include "src/base/memory.h"

#include <malloc.h>

namespace bif {

void ReleaseFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace bif
