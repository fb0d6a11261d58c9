# Headers that nearly every source includes, parsed once for each target: half of the time that most sources take. No
# source may count on it: each includes what it uses, and the fuzz targets are built without
# (-DELBO_FAST_BUILD=OFF).
set(elbo_common_headers
    algorithm array charconv chrono cmath cstdint cstring functional limits map memory numbers numeric optional span string
    string_view utility variant vector fmt/format.h)

# elbo_precompile(<target> [<header>...]): the common headers and these, for the C++ sources of a target.
function(elbo_precompile target)
  list(TRANSFORM elbo_common_headers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:<\\1$<ANGLE-R>>" OUTPUT_VARIABLE common)
  list(TRANSFORM ARGN REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:<\\1$<ANGLE-R>>" OUTPUT_VARIABLE more)
  if(ELBO_FAST_BUILD)
    target_precompile_headers(${target} PRIVATE ${common} ${more})
    elbo_precompile_options(${target})
  endif()
endfunction()

# elbo_reuse_precompiled(<target> <other>): those of another target that is compiled with the same options.
function(elbo_reuse_precompiled target other)
  if(ELBO_FAST_BUILD)
    target_precompile_headers(${target} REUSE_FROM ${other})
    elbo_precompile_options(${target})
  endif()
endfunction()

# For ccache: g++ must tell it what is in them (and CCACHE_SLOPPINESS must hold pch_defines and time_macros), and clang
# must leave the times of the headers out.
function(elbo_precompile_options target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>")
  else()
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endfunction()

# elbo_compile_rooms(<target>): the sources of a folder as one unit: what they include and instantiate alike is compiled
# once.
function(elbo_compile_rooms target)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  foreach(source IN LISTS sources)
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
    string(REPLACE "/" "_" room "${folder}")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${room})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${ELBO_FAST_BUILD} UNITY_BUILD_MODE GROUP)
endfunction()
