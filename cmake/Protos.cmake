# bif_proto_library(name PROTOS ... SERVICES ... GOOGLE_PROTOS ... GOOGLE_SERVICES ...)
#
# PROTOS give messages, SERVICES messages and gRPC stubs; paths are relative to proto/. With services there is a second
# library, bif::name_messages, for who needs no gRPC. The GOOGLE_ ones come from the PyPI package googleapis-common-protos, found in BIF_GOOGLE_PROTOS, so that clients in any language share the types.

find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
file(GLOB _google_protos ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages)
set(BIF_GOOGLE_PROTOS "${_google_protos}" CACHE PATH "Folder that holds google/longrunning/operations_proto.proto")

function(bif_proto_library name)
  cmake_parse_arguments(A "" "" "PROTOS;SERVICES;GOOGLE_PROTOS;GOOGLE_SERVICES" ${ARGN})
  set(out ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  set(service_sources)
  foreach(kind PROTOS SERVICES GOOGLE_PROTOS GOOGLE_SERVICES)
    foreach(proto IN LISTS A_${kind})
      if(kind MATCHES GOOGLE)
        set(file ${BIF_GOOGLE_PROTOS}/${proto})
      else()
        set(file ${CMAKE_SOURCE_DIR}/proto/${proto})
      endif()
      string(REGEX REPLACE "\\.proto$" "" stem ${out}/${proto})
      set(made ${stem}.pb.cc ${stem}.pb.h)
      set(flags --cpp_out=${out})
      if(kind MATCHES SERVICES)
        list(APPEND made ${stem}.grpc.pb.cc ${stem}.grpc.pb.h)
        list(APPEND service_sources ${stem}.grpc.pb.cc ${stem}.grpc.pb.h)
        list(APPEND flags --grpc_out=${out} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
      endif()
      add_custom_command(
        OUTPUT ${made}
        COMMAND ${PROTOC} -I${CMAKE_SOURCE_DIR}/proto -I${BIF_GOOGLE_PROTOS} ${flags} ${file}
        DEPENDS ${file}
        COMMENT "protoc ${proto}"
        VERBATIM)
      list(APPEND sources ${stem}.pb.cc ${stem}.pb.h)
    endforeach()
  endforeach()
  set(messages bif_${name})
  if(service_sources)
    set(messages bif_${name}_messages)
    add_library(bif_${name} STATIC EXCLUDE_FROM_ALL ${service_sources})
    add_library(bif::${name} ALIAS bif_${name})
    target_link_libraries(bif_${name} PUBLIC ${messages} gRPC::grpc++)
  endif()
  add_library(${messages} STATIC EXCLUDE_FROM_ALL ${sources})  # who links it builds it
  string(REPLACE bif_ bif:: alias ${messages})
  add_library(${alias} ALIAS ${messages})
  target_include_directories(${messages} SYSTEM PUBLIC ${out})
  target_link_libraries(${messages} PUBLIC protobuf::libprotobuf)
  set_target_properties(${messages} PROPERTIES UNITY_BUILD OFF)  # generated files use the same names
endfunction()
