// The process's memory as the operating system sees it.
#pragma once

namespace bif {

// Gives pages that were freed back to the operating system. malloc keeps them otherwise, in every
// thread's arena, in the hope of using them again: after a large import or upload that is tens of
// MiB for good. Takes milliseconds; for the end of what held much memory. Thread-safe.
void ReleaseFreedMemory();

}  // namespace bif
