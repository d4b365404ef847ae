# LibTorch as it lies in the PyTorch wheel. The wheel's own TorchConfig.cmake wants a CUDA toolkit as soon as it was built
# with CUDA, and sets compiler flags for everybody; these targets need neither.
#
#   TORCH_ROOT   the folder that holds include/ and lib/; by default the wheel in .venv. A LibTorch zip works too.
#   Torch::Torch all of it: headers (as SYSTEM), libraries, rpath. Link it PRIVATE, from src/engine/torch only: the
#                include folder has its own google/protobuf, which must not meet ours.
#   TORCH_HAS_CUDA, TORCH_VERSION

file(GLOB _torch_wheel ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
set(TORCH_ROOT "${_torch_wheel}" CACHE PATH "Folder of LibTorch that holds include/ and lib/")

find_path(TORCH_INCLUDE_DIR ATen/ATen.h PATHS ${TORCH_ROOT}/include NO_DEFAULT_PATH)
foreach(name torch torch_cpu c10)
  find_library(TORCH_${name}_LIBRARY ${name} PATHS ${TORCH_ROOT}/lib NO_DEFAULT_PATH)
endforeach()
foreach(name torch_cuda c10_cuda)  # only in a build with CUDA
  find_library(TORCH_${name}_LIBRARY ${name} PATHS ${TORCH_ROOT}/lib NO_DEFAULT_PATH)
endforeach()

set(TORCH_VERSION)
if(TORCH_INCLUDE_DIR AND EXISTS ${TORCH_INCLUDE_DIR}/torch/headeronly/version.h)
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${TORCH_INCLUDE_DIR}/torch/headeronly/version.h _torch_line REGEX "define TORCH_VERSION_${part} ")
    string(REGEX MATCH "[0-9]+" _torch_part "${_torch_line}")
    list(APPEND TORCH_VERSION ${_torch_part})
  endforeach()
  list(JOIN TORCH_VERSION . TORCH_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch
  REQUIRED_VARS TORCH_torch_LIBRARY TORCH_torch_cpu_LIBRARY TORCH_c10_LIBRARY TORCH_INCLUDE_DIR
  VERSION_VAR TORCH_VERSION
  REASON_FAILURE_MESSAGE "Run './dev setup', or name a LibTorch with -DTORCH_ROOT=<folder that holds include/ and lib/>.")

if(Torch_FOUND AND NOT TARGET Torch::Torch)
  set(_torch_names torch torch_cpu c10)
  set(TORCH_HAS_CUDA FALSE)
  if(TORCH_torch_cuda_LIBRARY AND TORCH_c10_cuda_LIBRARY)
    set(TORCH_HAS_CUDA TRUE)
    list(APPEND _torch_names torch_cuda c10_cuda)
  endif()
  add_library(Torch::Torch INTERFACE IMPORTED GLOBAL)
  foreach(name IN LISTS _torch_names)
    add_library(Torch::${name} SHARED IMPORTED GLOBAL)
    set_target_properties(Torch::${name} PROPERTIES IMPORTED_LOCATION ${TORCH_${name}_LIBRARY})
    target_link_libraries(Torch::Torch INTERFACE Torch::${name})
  endforeach()
  target_include_directories(Torch::Torch SYSTEM INTERFACE
    ${TORCH_INCLUDE_DIR} ${TORCH_INCLUDE_DIR}/torch/csrc/api/include)
  # libtorch_cuda registers its kernels when it is loaded, and nothing refers to it by symbol. Its own dependencies
  # (cuDNN and so on) are found at run time, from the wheels beside it.
  target_link_options(Torch::Torch INTERFACE -Wl,--no-as-needed)
  if(TORCH_HAS_CUDA)
    target_link_options(Torch::Torch INTERFACE -Wl,--allow-shlib-undefined)
  endif()
  set_property(TARGET Torch::Torch APPEND PROPERTY INTERFACE_LINK_OPTIONS -Wl,-rpath,${TORCH_ROOT}/lib)
  message(STATUS "LibTorch ${TORCH_VERSION} in ${TORCH_ROOT}, CUDA: ${TORCH_HAS_CUDA}")
endif()
