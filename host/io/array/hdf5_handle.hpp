// What reading and writing HDF5 files share. Included only where ELBO_WITH_HDF5 is defined.
#pragma once

#include "host/io/errors.hpp"

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

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

} // namespace elbo::io
