# Every header of ours compiles alone: whoever includes it needs to include nothing before it.
#
# foo.h whose foo.cc includes it first is compiled alone by the build itself. For each of the others bif_check_headers()
# writes a one-line source file and compiles it with the flags of the library that owns the folder. These are no part of `all`: the test `headers_self_contained` builds
# them, so that ninja and ccache skip what has not changed. Headers of a library with a precompiled header (LibTorch) are
# compiled behind it, since LibTorch's own headers cost half a minute each.

# Sets `out` to the library whose folder is the innermost one around `header`, or to "".
function(_bif_owner_of header out)
  get_property(libraries GLOBAL PROPERTY BIF_LIBRARIES)
  set(owner "")
  set(owner_depth 0)
  foreach(library IN LISTS libraries)
    get_target_property(folder ${library} SOURCE_DIR)
    string(LENGTH ${folder} depth)
    string(FIND ${header} ${folder}/ at)
    if(at EQUAL 0 AND depth GREATER owner_depth)
      set(owner ${library})
      set(owner_depth ${depth})
    endif()
  endforeach()
  set(${out} "${owner}" PARENT_SCOPE)
endfunction()

# Sets `out` to whether foo.cc is there beside foo.h and starts with including it.
function(_bif_comes_first path out)
  string(REGEX REPLACE "\\.h$" ".cc" source ${CMAKE_SOURCE_DIR}/${path})
  set(${out} FALSE PARENT_SCOPE)
  if(EXISTS ${source})
    file(STRINGS ${source} first LIMIT_COUNT 1 REGEX "^#include")
    if(first STREQUAL "#include \"${path}\"")
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# An object library that compiles `sources` as `owner` (a library of ours, or "" for none) compiles its own.
function(_bif_header_library name owner)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE bif_warnings)
  # Generated messages: a folder may hold several libraries (tests/support), of which only one is the owner.
  target_include_directories(${name} SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/generated)
  foreach(messages bif_storage_proto bif_config_proto bif_api_proto)
    if(TARGET ${messages})
      add_dependencies(${name} ${messages})
    endif()
  endforeach()
  if(owner)
    target_link_libraries(${name} PRIVATE ${owner} $<TARGET_PROPERTY:${owner},LINK_LIBRARIES>)
    target_compile_options(${name} PRIVATE $<TARGET_PROPERTY:${owner},COMPILE_OPTIONS>)
    get_target_property(precompiled ${owner} PRECOMPILE_HEADERS)
    if(precompiled)
      target_precompile_headers(${name} REUSE_FROM ${owner})
    endif()
  endif()
endfunction()

function(bif_check_headers)
  set(checks)
  foreach(folder IN LISTS BIF_FOLDERS)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.h)
    foreach(header IN LISTS headers)
      _bif_owner_of(${header} owner)
      if(header MATCHES "/torch/" AND NOT BIF_TORCH)
        continue()
      endif()
      file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${header})
      _bif_comes_first(${path} comes_first)
      if(comes_first)
        continue()
      endif()
      set(source ${CMAKE_BINARY_DIR}/headers/${path}.cc)
      file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${path}\"\n" @ONLY)
      set(check bif_headers_${owner})
      list(APPEND checks ${check})
      list(APPEND ${check}_sources ${source})
      set(${check}_owner "${owner}")
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES checks)
  foreach(check IN LISTS checks)
    _bif_header_library(${check} "${${check}_owner}" ${${check}_sources})
  endforeach()
  add_custom_target(headers_self_contained DEPENDS ${checks})
  add_test(NAME headers_self_contained
    COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target headers_self_contained)

  # The negative control: what leans on its includer must not compile.
  set(source ${CMAKE_BINARY_DIR}/headers/negative_control.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "std::string LeansOnItsIncluder();\n" @ONLY)
  _bif_header_library(bif_headers_negative_control "" ${source})
  add_test(NAME headers_self_contained_negative_control
    COMMAND ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target bif_headers_negative_control)
  set_tests_properties(headers_self_contained_negative_control PROPERTIES
    PASS_REGULAR_EXPRESSION "negative_control.cc:1:[0-9]+: error: ")
  set_tests_properties(headers_self_contained headers_self_contained_negative_control PROPERTIES
    LABELS unit TIMEOUT 600 RESOURCE_LOCK build_folder)
endfunction()
