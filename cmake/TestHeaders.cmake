# How tests are compiled, for bif_test (BifTargets.cmake): they are half of all files.
#
# Under the address sanitizer a test itself is not optimised, which halves the time of its compilation; what it tests is.
set(BIF_TEST_OPTIONS -pthread)  # all alike, though only some libraries ask for it
if(BIF_SANITIZE MATCHES address)
  list(APPEND BIF_TEST_OPTIONS -O0)
endif()

# What nearly every test includes is compiled once. Only for tests, so that every other file is compiled with what it includes
# itself and nothing else; only by GCC, whose precompiled headers ccache agrees with (-fpch-preprocess). The target is an
# executable, because the headers must be compiled as the tests are.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  list(APPEND BIF_TEST_OPTIONS -fpch-preprocess
       -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)  # GCC 12: of its own <string>, precompiled
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/test_headers.cc CONTENT "int main() { return 0; }\n" @ONLY)
  add_executable(bif_test_headers EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/test_headers.cc)
  target_link_libraries(bif_test_headers PRIVATE bif_warnings
    GTest::gmock absl::statusor absl::strings absl::synchronization absl::time protobuf::libprotobuf)
  target_compile_options(bif_test_headers PRIVATE ${BIF_TEST_OPTIONS})
  target_precompile_headers(bif_test_headers PRIVATE
    <algorithm> <cmath> <filesystem> <fstream> <functional> <map> <memory> <optional> <set> <string> <thread> <vector>
    <gmock/gmock.h> <gtest/gtest.h>
    <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/synchronization/notification.h> <absl/time/time.h>
    <absl/types/span.h> <google/protobuf/map_field.h> <google/protobuf/generated_message_reflection.h>)
endif()
