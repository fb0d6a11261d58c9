# Finds the C interfaces of BLAS and LAPACK as OpenBLAS packages bring them, and defines LAPACKE::LAPACKE.
#
# Of Debian's flavours of OpenBLAS the serial one serves best (docs/threads.md): it is the one that ./run installs. Where
# several are installed, the system's choice is linked (update-alternatives), by the plain name: liblapacke brings the
# libraries of that choice with it, and those of two flavours do not work together.
include(FindPackageHandleStandardArgs)

set(_lapacke_flavours openblas-serial openblas openblas-openmp openblas-pthread)
find_path(LAPACKE_CBLAS_INCLUDE_DIR NAMES cblas.h)
find_path(LAPACKE_CBLAS_INCLUDE_DIR NAMES cblas.h PATH_SUFFIXES ${_lapacke_flavours})
find_path(LAPACKE_INCLUDE_DIR NAMES lapacke.h PATH_SUFFIXES ${_lapacke_flavours} lapacke)
find_library(LAPACKE_BLAS_LIBRARY NAMES openblas)
find_library(LAPACKE_BLAS_LIBRARY NAMES openblas PATH_SUFFIXES ${_lapacke_flavours})
# OpenBLAS as its authors ship it contains LAPACKE; Debian's is a package of its own.
find_library(LAPACKE_LIBRARY NAMES lapacke)
find_library(LAPACKE_LIBRARY NAMES lapacke openblas PATH_SUFFIXES ${_lapacke_flavours})
unset(_lapacke_flavours)

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
