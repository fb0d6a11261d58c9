// An open HDF5 dataset. Included only where ELBO_WITH_HDF5 is defined.
#pragma once

#include "host/io/array/hdf5_handle.hpp"
#include "host/io/array/scalar.hpp"
#include "host/io/input_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace elbo::io {

/// The sizes of the chunks of a dataset, which libhdf5 does not compare: it reads beyond its buffer of a chunk that is
/// shorter than its elements.
class hdf5_chunks {
public:
    hdf5_chunks() = default;
    /// Of an open dataset of this shape. Throws file_error for a filter that this HDF5 library lacks, and where LZF was
    /// told another size of the chunks.
    hdf5_chunks(hid_t set, const std::vector<hsize_t>& shape, const std::string& description);
    /// Throws file_error for a chunk of these rows that no filter enlarges and that is not of the size of its elements.
    /// Those who read from the first row on look at each chunk once.
    void check(hid_t set, std::int64_t first_row, std::int64_t rows, const std::string& description);

private:
    void check_row_of_chunks(hid_t set, hsize_t row, const std::string& description);
    void check_chunk(hid_t set, const std::vector<hsize_t>& offset, const std::string& description);

    std::vector<hsize_t> shape_, chunk_; // of the dataset, of a chunk; empty where it has no chunks
    std::vector<H5Z_filter_t> filters_;  // in the order of the bits of a chunk's mask
    hsize_t bytes_ = 0;                  // of the elements of a chunk
    hsize_t file_bytes_ = 0;
    hsize_t checked_ = 0;               // rows of chunks, from the first
    std::vector<unsigned char> stored_; // a chunk as it lies in the file
};

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
