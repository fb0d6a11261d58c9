// HDF5 files: what reading and writing them share, and an open dataset. Included only where ELBO_WITH_HDF5 is defined.
#pragma once

#include "host/io/array/scalar.hpp"
#include "host/io/errors.hpp"
#include "host/io/input_file.hpp"

#include <hdf5.h>

#include <mutex>

namespace elbo::io {

/// Owner of one HDF5 identifier.
class hdf5_handle {
public:
    using closer = herr_t (*)(hid_t);
    hdf5_handle() = default;
    hdf5_handle(hid_t id, closer close) : id_(id), close_(close) {}
    hdf5_handle(hdf5_handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    hdf5_handle& operator=(hdf5_handle&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    ~hdf5_handle() {
        if (id_ >= 0)
            close_(id_);
    }
    hid_t get() const { return id_; }
    bool valid() const { return id_ >= 0; }

private:
    hid_t id_ = -1;
    closer close_ = nullptr;
};

/// Held around calls of the HDF5 library, which many builds do not allow from two threads at once. Within it the
/// library prints no errors of its own.
class hdf5_section {
public:
    hdf5_section() : lock_(mutex()) {
        H5Eget_auto2(H5E_DEFAULT, &printer_, &printer_data_);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~hdf5_section() { H5Eset_auto2(H5E_DEFAULT, printer_, printer_data_); }
    hdf5_section(const hdf5_section&) = delete;
    hdf5_section& operator=(const hdf5_section&) = delete;

private:
    // Recursive, because closing the last handle of a reader may happen within a section.
    static std::recursive_mutex& mutex() {
        static std::recursive_mutex instance;
        return instance;
    }
    std::lock_guard<std::recursive_mutex> lock_;
    H5E_auto2_t printer_ = nullptr;
    void* printer_data_ = nullptr;
};

/// Throws file_error with what the HDF5 library has to say about its last failure.
[[noreturn]] void fail_hdf5(const std::string& path, std::string_view action);

// The LZF compression of h5py, which the HDF5 library itself lacks (hdf5_lzf.cpp).

/// The number under which h5py registered it (github.com/HDFGroup/hdf5_plugins, docs/RegisteredFilterPlugins.md).
inline constexpr int lzf_filter = 32000;

enum class lzf_status { done, too_small, damaged };

/// Decompresses a block of LZF (Marc Lehmann's LibLZF): `written` bytes into `out`. too_small: they do not fit.
lzf_status lzf_decompress(std::span<const unsigned char> in, std::span<unsigned char> out, std::size_t& written);

/// Lets the HDF5 library decompress it, unless it can already. Called within an hdf5_section.
void register_lzf();

// A dataset that is read (hdf5_dataset.cpp).

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
