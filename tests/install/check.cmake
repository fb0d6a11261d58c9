# Installs a build and has a project outside use it.
#   cmake -DBUILD=<build folder> -DCONFIG=<configuration> -DWORK=<empty folder> -DBY_PKGCONFIG=ON|OFF
#         -DCXX=<compiler> -DPREFIX_PATH=<where the dependencies are> -DLIBDIR=<lib> -P check.cmake
cmake_minimum_required(VERSION 3.25)

function(step)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nfailed: ${status}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(prefix "${WORK}/prefix")
step("${CMAKE_COMMAND}" --install "${BUILD}" --config "${CONFIG}" --prefix "${prefix}")
# Moved after it was installed: a package that holds its own path is found out.
file(RENAME "${prefix}" "${WORK}/moved")
set(prefix "${WORK}/moved")
set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig:$ENV{PKG_CONFIG_PATH}")
step("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK}/build" "-DCMAKE_CXX_COMPILER=${CXX}"
     "-DCMAKE_PREFIX_PATH=${prefix};${PREFIX_PATH}" "-DBY_PKGCONFIG=${BY_PKGCONFIG}" "-DCMAKE_BUILD_TYPE=${CONFIG}")
step("${CMAKE_COMMAND}" --build "${WORK}/build" --config "${CONFIG}")
set(ENV{LD_LIBRARY_PATH} "${prefix}/${LIBDIR}:$ENV{LD_LIBRARY_PATH}")
step("${WORK}/build/consumer")
step("${WORK}/build/page")
