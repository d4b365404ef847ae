// Bugs of the kinds that the fuzz targets are to find, planted behind a word that the fuzzer has to
// come upon. They show that the set-up works: instrumentation, sanitizers, properties, exit codes.
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz.h"

using namespace bif;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  if (input.TakeBytes(3) != "bug") return 0;
#if defined(BIF_PLANTED_OVERRUN)
  const std::vector<char> table(16);
  const volatile char* const first = table.data();  // volatile: or the compiler leaves the bug out
  static_cast<void>(first[input.Take<uint8_t>() & 31]);
#elif defined(BIF_PLANTED_OVERFLOW)
  volatile int32_t sum = input.Take<int32_t>();
  sum = sum + 0x40000000;
#elif defined(BIF_PLANTED_LEAK)
  [[maybe_unused]] static char* volatile kept = nullptr;
  kept = std::make_unique<char[]>(64).release();
  kept = nullptr;
#elif defined(BIF_PLANTED_UNTRUE)
  uint32_t sum = 0;
  for (const char c : input.rest()) sum += static_cast<uint8_t>(c);
  fuzz::Require(sum != 42, "the sum is not 42");
#endif
  return 0;
}
