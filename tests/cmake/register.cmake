# Functions that turn a source file into a test.

# The command line before a program that uses CUDA, and whether such programs can be run here at all.
set(elbo_cuda_launcher "")
set(elbo_cuda_environment "")
set(elbo_cuda_tests_run OFF)
if(ELBO_CUDA_EMULATOR)
  set(elbo_cuda_launcher "${elbo_emulator_program}")
  set(elbo_cuda_environment "CUDA_EMULATOR_STRICT=1" "CUDA_EMULATOR_INITCHECK_BYTES=1" "CUDA_EMULATOR_THREADS=1"
      "CUDA_EMULATOR_LIBRARIES=${elbo_emulator_libraries}")
  set(elbo_cuda_tests_run ON)
elseif(ELBO_CUDA AND elbo_gpu_present)
  set(elbo_cuda_tests_run ON)
endif()

set(ELBO_TEST_DATA "${PROJECT_SOURCE_DIR}/tests/data"
    CACHE STRING "Where the tests find their data; a relative path is one of the folder that they are started in")

if(ELBO_TESTS)
  # The internals under test, and what the tests are written with.
  add_library(elbo_test_settings INTERFACE)
  target_include_directories(elbo_test_settings INTERFACE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(elbo_test_settings INTERFACE ${elbo_private_definitions}
                                                          "ELBO_TEST_DATA=\"${ELBO_TEST_DATA}\"")
  if(TARGET elbo_cli)
    target_compile_definitions(elbo_test_settings INTERFACE "ELBO_TOOL=\"$<TARGET_FILE:elbo_cli>\"")
  endif()
  target_link_libraries(
    elbo_test_settings INTERFACE elbo::report GTest::gtest_main nlohmann_json::nlohmann_json fmt::fmt LAPACKE::LAPACKE
                                 TBB::tbb ZLIB::ZLIB PNG::PNG elbo_warnings)
  if(ELBO_HDF5)
    target_link_libraries(elbo_test_settings INTERFACE hdf5::hdf5)
  endif()
  add_library(elbo_many_threads OBJECT support/many_threads.cpp)
  target_link_libraries(elbo_many_threads PRIVATE TBB::tbb elbo_warnings)
endif()

if(ELBO_TESTS)
  # All tests are compiled with the same options, so that they share the precompiled headers of this one.
  file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp" "// The owner of the precompiled headers of the tests.\n")
  add_executable(elbo_test_headers "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(elbo_test_headers PRIVATE elbo_test_settings)
  elbo_precompile(elbo_test_headers gtest/gtest.h filesystem fstream sstream random)
endif()

set(ELBO_TEST_TIMEOUT 900 CACHE STRING "Seconds after which a test program is stopped")

# elbo_register(<target> <name> <label> <back ends>): one run of a test program.
function(elbo_register target name label backends)
  set(launcher "")
  set(environment "ELBO_TEST_BACKENDS=${backends}" "OMP_NUM_THREADS=2")
  if(label STREQUAL "cuda")
    if(NOT elbo_cuda_tests_run)
      return()
    endif()
    set(launcher ${elbo_cuda_launcher})
    list(APPEND environment ${elbo_cuda_environment})
  endif()
  add_test(NAME ${name} COMMAND ${launcher} $<TARGET_FILE:${target}>)
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${ELBO_TEST_TIMEOUT} ENVIRONMENT "${environment}")
endfunction()

# elbo_test_name(<source> <variable>): gmm_fit_wide_test for tests/gmm/fit/wide_test.cpp.
function(elbo_test_name source result)
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" OUTPUT_VARIABLE path)
  cmake_path(REMOVE_EXTENSION path)
  string(REPLACE "/" "_" path "${path}")
  set(${result} "${path}" PARENT_SCOPE)
endfunction()

# elbo_add_test(<source>): the program, and its runs.
function(elbo_add_test source)
  elbo_test_name("${source}" name)
  add_executable(${name} "${source}" ${elbo_support_sources} $<TARGET_OBJECTS:elbo_many_threads>)
  target_link_libraries(${name} PRIVATE elbo_test_settings)
  if(NOT source MATCHES "\\.cu$")
    elbo_reuse_precompiled(${name} elbo_test_headers)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  if(TARGET elbo_cli)
    add_dependencies(${name} elbo_cli)
  endif()
  if(source MATCHES "\\.cu$" OR source MATCHES "/cuda_[^/]*$")
    elbo_register(${name} ${name} cuda reference,cuda)
  elseif(source MATCHES "/backends_[^/]*$")
    elbo_register(${name} ${name}.cpu cpu reference,cpu)
    elbo_register(${name} ${name}.cuda cuda reference,cuda)
  else()
    elbo_register(${name} ${name} cpu reference,cpu)
  endif()
endfunction()

# elbo_add_fuzz_target(<source>): fuzz_NAME and its short run.
function(elbo_add_fuzz_target source)
  get_filename_component(name "${source}" NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" subject "${name}")
  set(inputs "${CMAKE_CURRENT_BINARY_DIR}/corpus/${subject}") # what the run finds is put here
  file(MAKE_DIRECTORY "${inputs}")
  add_executable(${name} "${source}")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE ${elbo_private_definitions})
  target_link_libraries(${name} PRIVATE elbo::elbo fmt::fmt nlohmann_json::nlohmann_json elbo_warnings)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set(seeds "")
  if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${subject}")
    set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${subject}")
  endif()
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${ELBO_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
                                -print_final_stats=1 "${inputs}" ${seeds})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()
