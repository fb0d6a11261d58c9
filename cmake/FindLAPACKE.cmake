# Finds the C interfaces of BLAS and LAPACK as OpenBLAS packages bring them, and defines LAPACKE::LAPACKE.
#
# Debian installs three flavours of OpenBLAS side by side. The serial one is preferred: this library shares its work out
# above the BLAS. Any other does, too (kernels/blas_threads.hpp), but its threads take memory when the program starts.
include(FindPackageHandleStandardArgs)

find_path(LAPACKE_CBLAS_INCLUDE_DIR NAMES cblas.h PATH_SUFFIXES openblas-serial openblas openblas-openmp openblas-pthread)
find_path(LAPACKE_INCLUDE_DIR NAMES lapacke.h PATH_SUFFIXES openblas-serial openblas openblas-openmp openblas-pthread lapacke)
find_library(LAPACKE_BLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-serial openblas-openmp openblas-pthread)
# OpenBLAS as its authors ship it contains LAPACKE; Debian's is a package of its own.
find_library(LAPACKE_LIBRARY NAMES lapacke openblas PATH_SUFFIXES openblas-serial openblas-openmp openblas-pthread)

# find_library looks into the plain folder first, so the serial flavour is asked for by name.
if(LAPACKE_BLAS_LIBRARY)
  get_filename_component(_lapacke_folder "${LAPACKE_BLAS_LIBRARY}" DIRECTORY)
  if(EXISTS "${_lapacke_folder}/openblas-serial/libopenblas.so")
    set_property(CACHE LAPACKE_BLAS_LIBRARY PROPERTY VALUE "${_lapacke_folder}/openblas-serial/libopenblas.so")
  endif()
  unset(_lapacke_folder)
endif()

find_package_handle_standard_args(
  LAPACKE REQUIRED_VARS LAPACKE_LIBRARY LAPACKE_BLAS_LIBRARY LAPACKE_INCLUDE_DIR LAPACKE_CBLAS_INCLUDE_DIR)
mark_as_advanced(LAPACKE_LIBRARY LAPACKE_BLAS_LIBRARY LAPACKE_INCLUDE_DIR LAPACKE_CBLAS_INCLUDE_DIR)

if(LAPACKE_FOUND AND NOT TARGET LAPACKE::LAPACKE)
  add_library(LAPACKE::LAPACKE INTERFACE IMPORTED)
  target_include_directories(LAPACKE::LAPACKE INTERFACE "${LAPACKE_INCLUDE_DIR}" "${LAPACKE_CBLAS_INCLUDE_DIR}")
  if(LAPACKE_LIBRARY STREQUAL LAPACKE_BLAS_LIBRARY)
    target_link_libraries(LAPACKE::LAPACKE INTERFACE "${LAPACKE_BLAS_LIBRARY}")
  else()
    target_link_libraries(LAPACKE::LAPACKE INTERFACE "${LAPACKE_BLAS_LIBRARY}" "${LAPACKE_LIBRARY}")
  endif()
endif()
