# Builds third_party/cuda-emulator: a replacement of the CUDA runtime that runs PTX on the CPU, and replacements of the
# CUDA mathematical libraries. They are programs of their own, built beside this one with the system's compiler.
include(ExternalProject)

set(elbo_emulator_source "${PROJECT_SOURCE_DIR}/third_party/cuda-emulator")
set(elbo_emulator_build "${PROJECT_BINARY_DIR}/cuda-emulator")
set(elbo_emulator_program "${elbo_emulator_build}/runtime/cuda-emulate")
set(elbo_emulator_libraries "${elbo_emulator_build}/libraries/lib")
cmake_path(GET CUDAToolkit_INCLUDE_DIRS PARENT_PATH elbo_cuda_toolkit)

set(elbo_emulator_arguments -DCMAKE_BUILD_TYPE=Release)
if(CMAKE_CXX_COMPILER_LAUNCHER)
  list(APPEND elbo_emulator_arguments "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
       "-DCMAKE_C_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}")
endif()

ExternalProject_Add(
  cuda_emulator_runtime
  SOURCE_DIR "${elbo_emulator_source}"
  BINARY_DIR "${elbo_emulator_build}/runtime"
  CMAKE_ARGS ${elbo_emulator_arguments} "-DCUDA_EMULATOR_TOOLKIT=${elbo_cuda_toolkit}"
  BUILD_ALWAYS ON
  INSTALL_COMMAND "")
ExternalProject_Add(
  cuda_emulator_libraries
  SOURCE_DIR "${elbo_emulator_source}/libs"
  BINARY_DIR "${elbo_emulator_build}/libraries"
  CMAKE_ARGS ${elbo_emulator_arguments} "-DCUDAToolkit_ROOT=${elbo_cuda_toolkit}" -DCUDA_EMULATOR_LIBS_TESTS=OFF
  BUILD_ALWAYS ON
  INSTALL_COMMAND "")
add_custom_target(cuda_emulator DEPENDS cuda_emulator_runtime cuda_emulator_libraries)
