# The installed package: headers, library, tool, find_package(elbo) and pkg-config.
include(CMakePackageConfigHelpers)

set(elbo_config_folder "${CMAKE_INSTALL_LIBDIR}/cmake/elbo")
install(
  TARGETS elbo
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
