# Finds the C interfaces of BLAS and LAPACK as OpenBLAS packages bring them, and defines LAPACKE::LAPACKE.
#
# Debian installs three flavours of OpenBLAS side by side. The OpenMP one is preferred: it shares its threads with this
# library's own parallel loops, while the pthread one would run a second pool of threads against them.
include(FindPackageHandleStandardArgs)

find_path(LAPACKE_CBLAS_INCLUDE_DIR NAMES cblas.h PATH_SUFFIXES openblas-openmp openblas)
find_path(LAPACKE_INCLUDE_DIR NAMES lapacke.h PATH_SUFFIXES openblas-openmp openblas lapacke)
find_library(LAPACKE_BLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-openmp)
# OpenBLAS as its authors ship it contains LAPACKE; Debian's is a package of its own.
find_library(LAPACKE_LIBRARY NAMES lapacke openblas PATH_SUFFIXES openblas-openmp)

# find_library looks into the plain folder first, so the OpenMP flavour is asked for by name.
if(LAPACKE_BLAS_LIBRARY)
  get_filename_component(_lapacke_folder "${LAPACKE_BLAS_LIBRARY}" DIRECTORY)
  if(EXISTS "${_lapacke_folder}/openblas-openmp/libopenblas.so")
    set_property(CACHE LAPACKE_BLAS_LIBRARY PROPERTY VALUE "${_lapacke_folder}/openblas-openmp/libopenblas.so")
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
