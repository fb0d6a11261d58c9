# The installed package: headers, libraries, tool, find_package(elbo) and pkg-config.
include(CMakePackageConfigHelpers)

set(elbo_config_folder "${CMAKE_INSTALL_LIBDIR}/cmake/elbo")
install(
  TARGETS elbo elbo_report
  EXPORT elbo-targets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET elbo_cli)
  install(TARGETS elbo_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
install(
  EXPORT elbo-targets
  NAMESPACE elbo::
  DESTINATION "${elbo_config_folder}")
configure_package_config_file(cmake/elbo-config.cmake.in elbo-config.cmake INSTALL_DESTINATION "${elbo_config_folder}")
write_basic_package_version_file(elbo-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/elbo-config.cmake" "${PROJECT_BINARY_DIR}/elbo-config-version.cmake"
              cmake/FindLAPACKE.cmake DESTINATION "${elbo_config_folder}")

# pkg-config. A shared library brings its own dependencies; with a static one the user links them.
file(RELATIVE_PATH ELBO_PC_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")

# elbo_pc_add(<library file>...): as -L and -l, which is what pkg-config's users understand.
macro(elbo_pc_add)
  foreach(library IN ITEMS ${ARGN})
    cmake_path(GET library PARENT_PATH elbo_pc_folder)
    cmake_path(GET library STEM elbo_pc_name)
    string(REGEX REPLACE "^lib" "" elbo_pc_name "${elbo_pc_name}")
    string(APPEND ELBO_PC_LIBS " -L${elbo_pc_folder} -l${elbo_pc_name}")
  endforeach()
endmacro()

if(ELBO_CUDA)
  set(ELBO_PC_CFLAGS " -I${CUDAToolkit_INCLUDE_DIRS}")
  set(ELBO_PC_LIBS " -L${CUDAToolkit_LIBRARY_DIR} -Wl,-rpath,${CUDAToolkit_LIBRARY_DIR} -lcudart")
endif()
if(NOT BUILD_SHARED_LIBS)
  set(ELBO_PC_REQUIRES "fmt zlib tbb")
  set(ELBO_REPORT_PC_REQUIRES ", fmt, libpng")
  if(ELBO_CUDA)
    string(APPEND ELBO_PC_LIBS " -lcublas -lcusolver -lcurand")
  endif()
  if(ELBO_HDF5)
    list(GET HDF5_C_LIBRARIES 0 elbo_hdf5_library) # the others are its own dependencies
    elbo_pc_add("${elbo_hdf5_library}")
  endif()
  elbo_pc_add("${LAPACKE_LIBRARY}" "${LAPACKE_BLAS_LIBRARY}")
endif()
configure_file(cmake/elbo.pc.in elbo.pc @ONLY)
configure_file(cmake/elbo-report.pc.in elbo-report.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/elbo.pc" "${PROJECT_BINARY_DIR}/elbo-report.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
