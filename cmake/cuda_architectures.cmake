# elbo_cuda_architectures(<variable>): what to compile the kernels for when the user does not say. Compute capability 9.0
# as machine code and as PTX, from which newer devices compile theirs, what only 9.0 has (90a), and that of older devices
# in this machine.
function(elbo_cuda_architectures result)
  set(architectures 90 90a-real)
  execute_process(
    COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capabilities
    ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${capabilities}")
    foreach(capability IN LISTS capabilities)
      string(REPLACE "." "" capability "${capability}")
      if(capability LESS 90)
        list(APPEND architectures ${capability}-real)
      endif()
    endforeach()
    list(REMOVE_DUPLICATES architectures)
  endif()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()

# ELBO_CUDA_ARCHITECTURES, in the form of CMAKE_CUDA_ARCHITECTURES: 90a stands for the sources named *_sm90a.cu, which
# are left out without it; all others are compiled for the rest. The kernels need 8.0 or newer.
macro(elbo_choose_cuda_architectures)
  if(DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ELBO_CUDA_ARCHITECTURES)
    set(ELBO_CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
  elseif(NOT DEFINED ELBO_CUDA_ARCHITECTURES AND ELBO_CUDA_EMULATOR)
    set(ELBO_CUDA_ARCHITECTURES 90-virtual 90a-virtual) # the emulator reads PTX
  elseif(NOT DEFINED ELBO_CUDA_ARCHITECTURES)
    elbo_cuda_architectures(ELBO_CUDA_ARCHITECTURES)
  endif()
  foreach(architecture IN LISTS ELBO_CUDA_ARCHITECTURES)
    if(architecture MATCHES "^[1-7][0-9](-|$)")
      message(FATAL_ERROR "ELBO_CUDA_ARCHITECTURES has ${architecture}, and the kernels need 80 or newer")
    endif()
  endforeach()
  set(elbo_sm90a_architectures "${ELBO_CUDA_ARCHITECTURES}")
  list(FILTER elbo_sm90a_architectures INCLUDE REGEX "^90a")
  set(CMAKE_CUDA_ARCHITECTURES "${ELBO_CUDA_ARCHITECTURES}")
  list(FILTER CMAKE_CUDA_ARCHITECTURES EXCLUDE REGEX "^90a")
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "${ELBO_CUDA_ARCHITECTURES}")
  endif()
endmacro()

# elbo_add_sm90a_kernels(<target>): an object library of what only compute capability 9.0 runs, added to <target>; without
# 90a the sources *_absent.cpp, which say so.
function(elbo_add_sm90a_kernels target)
  if(NOT elbo_sm90a_architectures)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS kernels/cuda/*_absent.cpp)
    target_sources(${target} PRIVATE ${sources})
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS kernels/cuda/*_sm90a.cu)
  add_library(elbo_sm90a OBJECT ${sources})
  set_target_properties(elbo_sm90a PROPERTIES CUDA_ARCHITECTURES "${elbo_sm90a_architectures}")
  target_compile_definitions(elbo_sm90a PRIVATE ${elbo_private_definitions})
  target_include_directories(elbo_sm90a PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include"
                                                "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(elbo_sm90a PRIVATE CUDA::cudart elbo_warnings)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:elbo_sm90a>)
endfunction()

# elbo_name_cuda_code(): tells the library for which architectures it has code, for its message where a device needs
# another.
function(elbo_name_cuda_code)
  list(JOIN CMAKE_CUDA_ARCHITECTURES "," architectures)
  set_source_files_properties(kernels/cuda/core/cuda_state.cpp PROPERTIES COMPILE_DEFINITIONS "ELBO_CUDA_CODE=\"${architectures}\""
                                                                          SKIP_PRECOMPILE_HEADERS ON)
endfunction()
