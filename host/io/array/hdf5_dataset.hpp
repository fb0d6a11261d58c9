// An open HDF5 dataset. Included only where ELBO_WITH_HDF5 is defined.
#pragma once

#include "host/io/array/hdf5_chunks.hpp"
#include "host/io/array/hdf5_handle.hpp"
#include "host/io/array/scalar.hpp"
#include "host/io/input_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace elbo::io {

/// Shared by its readers, which all work within hdf5_section.
struct hdf5_dataset {
    hdf5_handle file, set;
    std::vector<hsize_t> shape;
    std::int64_t rows = 0, cols = 0;
    stored_scalar element;      ///< as whole numbers are read; float32 or float64 for floating-point numbers
    bool raw = false;           ///< what HDF5 does not turn into numbers (booleans, other enumerations): read as stored
    mutable hdf5_chunks chunks; ///< looked at before they are read

    ~hdf5_dataset() {
        const hdf5_section section;
        set = hdf5_handle();
        file = hdf5_handle();
    }
};

/// Opens the dataset of this name; where it is empty the only one of two extents, or else the only one. Throws
/// file_error and invalid_argument.
std::shared_ptr<const hdf5_dataset> open_dataset(const input_file& input, const std::string& name);

} // namespace elbo::io
