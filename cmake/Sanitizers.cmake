# The switch of the presets `asan` and `tsan`.
set(BIF_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")
if(BIF_SANITIZE)
  add_compile_options(-fsanitize=${BIF_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${BIF_SANITIZE})
endif()

if(BIF_SANITIZE MATCHES undefined)
  add_compile_options(-fno-sanitize-recover=undefined)  # a finding fails the test that met it
  # These look at every access to a member, a fifth of the compiler's time, for what the address sanitizer finds at run time.
  add_compile_options(-fno-sanitize=null,vptr,object-size)
endif()

# The switch of the preset `fuzz`: all code tells libFuzzer where it goes, and tests/fuzz links the fuzzer itself.
option(BIF_FUZZ "Build for libFuzzer, which comes with clang" OFF)
if(BIF_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# Every binary links it (BifTargets.cmake).
if(BIF_SANITIZE STREQUAL thread)
  add_library(bif_tsan OBJECT ${CMAKE_SOURCE_DIR}/tests/support/tsan/absl_mutex.cc)
  target_link_libraries(bif_tsan PRIVATE bif_warnings absl::synchronization)
  # mold 1.10 lets RELRO begin at a .tbss that ends where RELRO should begin, on a page that is not mapped: no such binary starts.
  add_link_options(-Wl,-z,norelro)
endif()
