# One library a folder, tests and benchmarks beside the code they speak of.
#
#   bif_library(storage SRCS a.cc b.cc DEPS absl::status PUBLIC_DEPS bif::base)   -> bif::storage
#                                                   OWN_UNIT b.cc: has a name of its own that a.cc has too, so that a unity
#                                                   build (the sanitizers' presets) must not compile them as one
#   bif_executable(bifd SRCS main.cc DEPS bif::server)
#   bif_test(trace_store_test SRCS trace_store_test.cc DEPS bif::storage LABEL unit)
#                                                   ONE_THREAD: long, and nothing for the thread sanitizer
#                                                   OWN_HEADERS: brings its own precompiled header and options
#   bif_benchmark(score_benchmark SRCS score_benchmark.cc DEPS bif::attribution)
#
# Everybody includes from the root of the repository: #include "src/base/digest.h".

function(_bif_common target)
  cmake_parse_arguments(A "" "" "SRCS;DEPS;PUBLIC_DEPS" ${ARGN})
  target_sources(${target} PRIVATE ${A_SRCS})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE bif_warnings ${A_DEPS} PUBLIC ${A_PUBLIC_DEPS})
endfunction()

# What every binary needs beside its own sources.
function(_bif_binary target)
  _bif_common(${target} ${ARGN})
  if(TARGET bif_tsan)
    target_link_libraries(${target} PRIVATE bif_tsan)
  endif()
endfunction()

function(bif_library name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS;PUBLIC_DEPS;OWN_UNIT" ${ARGN})
  set_source_files_properties(${A_OWN_UNIT} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_library(bif_${name} STATIC)
  add_library(bif::${name} ALIAS bif_${name})
  _bif_common(bif_${name} SRCS ${A_SRCS} DEPS ${A_DEPS} PUBLIC_DEPS ${A_PUBLIC_DEPS})
  set_property(GLOBAL APPEND PROPERTY BIF_LIBRARIES bif_${name})  # read by HeadersSelfContained.cmake
endfunction()

function(bif_executable name)
  add_executable(${name})
  _bif_binary(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})  # as users will call it
endfunction()

function(bif_test name)
  cmake_parse_arguments(A "ONE_THREAD;OWN_HEADERS" "LABEL;TIMEOUT" "ARGS" ${ARGN})
  if(NOT A_LABEL)
    set(A_LABEL unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name})
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  _bif_binary(${name} ${A_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main)
  if(NOT A_OWN_HEADERS)
    target_compile_options(${name} PRIVATE ${BIF_TEST_OPTIONS})
    if(TARGET bif_test_headers)
      target_precompile_headers(${name} REUSE_FROM bif_test_headers)
    endif()
  endif()
  # These layers start no thread and hold no lock; the thread sanitizer sees them in the tests of who calls them from many.
  if(BIF_SANITIZE STREQUAL thread AND
     (A_ONE_THREAD OR CMAKE_CURRENT_SOURCE_DIR MATCHES "/src/(base|engine|attribution)(/|$)"))
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  set(environment GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml)  # read by tests/summarize.py
  if(BIF_SANITIZE)  # up to 15 times slower
    math(EXPR A_TIMEOUT "10 * ${A_TIMEOUT}")
    list(APPEND environment
      TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan/suppressions.txt)
  endif()
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT} ENVIRONMENT "${environment}")
endfunction()

function(bif_benchmark name)
  add_executable(${name})
  if(BIF_SANITIZE)  # such figures say nothing
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  _bif_binary(${name} ${ARGN})
endfunction()
