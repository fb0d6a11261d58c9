#ifdef ELBO_WITH_HDF5

#include "host/io/array/hdf5_chunks.hpp"

#include "host/io/array/hdf5_lzf.hpp"
#include "host/io/errors.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::io {

namespace {

constexpr hsize_t checksum_bytes = 4; // that the filter fletcher32 appends

std::string place(const std::vector<hsize_t>& offset) {
    return fmt::format("the chunk at ({})", joined(std::vector<std::uint64_t>(offset.begin(), offset.end()), ", "));
}

} // namespace

hdf5_chunks::hdf5_chunks(hid_t set, const std::vector<hsize_t>& shape, const std::string& description) : shape_(shape) {
    const hdf5_handle creation(H5Dget_create_plist(set), H5Pclose);
    if (H5Pget_layout(creation.get()) != H5D_CHUNKED)
        return;
    chunk_.resize(shape.size());
    H5Pget_chunk(creation.get(), static_cast<int>(chunk_.size()), chunk_.data());
    const hdf5_handle type(H5Dget_type(set), H5Tclose);
    bytes_ = H5Tget_size(type.get());
    for (const hsize_t extent : chunk_)
        bytes_ *= extent;
    for (int i = 0; i < H5Pget_nfilters(creation.get()); ++i) {
        unsigned flags = 0, settings = 0, values[3] = {};
        std::size_t count = 3;
        filters_.push_back(
            H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &count, values, 0, nullptr, &settings));
        if (filters_.back() == lzf_filter && count > 2 && values[2] != bytes_)
            fail(description, fmt::format("its chunks have {} bytes, but LZF was told {}", bytes_, values[2]));
    }
    const hdf5_handle file(H5Iget_file_id(set), H5Fclose);
    H5Fget_filesize(file.get(), &file_bytes_);
    if (std::find(chunk_.begin(), chunk_.end(), hsize_t(0)) != chunk_.end())
        chunk_.clear(); // libhdf5 refuses it
}

void hdf5_chunks::check(hid_t set, std::int64_t first_row, std::int64_t rows, const std::string& description) {
    if (chunk_.empty() || rows == 0)
        return;
    const hsize_t first = static_cast<hsize_t>(first_row) / chunk_[0];
    const hsize_t last = static_cast<hsize_t>(first_row + rows - 1) / chunk_[0];
    for (hsize_t row = first <= checked_ ? std::max(first, checked_) : first; row <= last; ++row)
        check_row_of_chunks(set, row, description);
    if (first <= checked_)
        checked_ = std::max(checked_, last + 1);
}

void hdf5_chunks::check_row_of_chunks(hid_t set, hsize_t row, const std::string& description) {
    std::vector<hsize_t> offset(chunk_.size(), 0);
    offset[0] = row * chunk_[0];
    for (std::size_t axis = 1; axis > 0;) {
        check_chunk(set, offset, description);
        for (axis = chunk_.size() - 1; axis > 0; --axis) { // the next one, the last extent first
            if ((offset[axis] += chunk_[axis]) < shape_[axis])
                break;
            offset[axis] = 0;
        }
    }
}

void hdf5_chunks::check_chunk(hid_t set, const std::vector<hsize_t>& offset, const std::string& description) {
    hsize_t size = 0;
    if (H5Dget_chunk_storage_size(set, offset.data(), &size) < 0)
        fail_hdf5(description, "cannot find " + place(offset));
    if (size == 0)
        return; // never written: all elements have the fill value
    if (size > file_bytes_)
        fail(description, fmt::format("{} has {} bytes, more than the file", place(offset), size));
    std::uint32_t mask = 0;
    if (!filters_.empty()) { // which mask a chunk has is only told with its bytes
        stored_.resize(size);
        if (H5Dread_chunk(set, H5P_DEFAULT, offset.data(), &mask, stored_.data()) < 0)
            fail_hdf5(description, "cannot read " + place(offset));
    }
    hsize_t expected = bytes_;
    for (std::size_t i = 0; i < filters_.size(); ++i) {
        if ((mask >> i & 1) != 0 || filters_[i] == H5Z_FILTER_SHUFFLE)
            continue;
        if (filters_[i] != H5Z_FILTER_FLETCHER32)
            return; // compressed: of any size
        expected += checksum_bytes;
    }
    if (size != expected)
        fail(description, fmt::format("{} has {} bytes with the filter mask {:#x}, expected {}", place(offset), size,
                                      mask, expected));
}

} // namespace elbo::io

#endif
