// Marks a function to be compiled for several instruction sets; the loader picks the best that the
// processor has. All of them give the same bits as long as the file is compiled with
// -ffp-contract=off.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BIF_KERNEL_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define BIF_KERNEL_CLONES  // the sanitizers start after the loader has called the resolvers
#endif
#define BIF_ALWAYS_INLINE inline __attribute__((always_inline))
