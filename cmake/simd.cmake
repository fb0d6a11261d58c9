# *_kernels.cpp in kernels/cpu are compiled once per instruction set, in a namespace named by ELBO_SIMD, and the fitting
# one is chosen when the program runs.

# elbo_simd_object(<target> <level> <flags>...): the object library of one level, added to <target>.
function(elbo_simd_object target level)
  add_library(elbo_simd_${level} OBJECT ${elbo_simd_sources})
  target_compile_definitions(elbo_simd_${level} PRIVATE ELBO_SIMD=${level} ${elbo_private_definitions})
  target_compile_options(
    elbo_simd_${level}
    PRIVATE ${ARGN} -ffp-contract=fast -fno-math-errno -fno-trapping-math
            "$<$<CONFIG:Release,RelWithDebInfo>:-O3>")
  target_include_directories(elbo_simd_${level} PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include"
                                                        "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(elbo_simd_${level} PRIVATE LAPACKE::LAPACKE fmt::fmt elbo_warnings)
  # Several to a unit: what they share is compiled once.
  set_target_properties(elbo_simd_${level} PROPERTIES UNITY_BUILD ${ELBO_FAST_BUILD} UNITY_BUILD_BATCH_SIZE 4)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:elbo_simd_${level}>)
endfunction()

function(elbo_add_simd_kernels target)
  file(GLOB_RECURSE elbo_simd_sources CONFIGURE_DEPENDS kernels/cpu/*_kernels.cpp)
  if(NOT elbo_simd_sources)
    return()
  endif()
  elbo_simd_object(${target} baseline)
  if(ELBO_X86_SIMD AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    elbo_simd_object(${target} avx2 -mavx2 -mfma)
    elbo_simd_object(${target} avx512 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512)
    # For the code that chooses: which levels are in the library.
    target_compile_definitions(${target} PRIVATE ELBO_WITH_X86_SIMD)
  endif()
endfunction()
