// HDF5 datasets, read by hyperslabs of rows.
#include "host/io/errors.hpp"
#include "host/io/sources.hpp"

#ifndef ELBO_WITH_HDF5

namespace elbo::io {

std::unique_ptr<opened_file> open_hdf5(const input_file& file, const file_options&) {
    throw not_available(file.name() +
                        ": this build of elbo reads no HDF5 files: install HDF5 and build with -DELBO_HDF5=ON");
}

} // namespace elbo::io

#else

#include "host/io/array/array_source.hpp"
#include "host/io/array/hdf5.hpp"

#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::int64_t read_bytes = std::int64_t{4} << 20; // of rows that are read together at the opening

// The type in memory of numbers of a dataset; below 0 it is that of the file.
hid_t memory_type(const hdf5_dataset& opened, scalar wanted) {
    if (opened.raw)
        return -1;
    const hid_t types[] = {H5T_NATIVE_UINT8,  H5T_NATIVE_INT8,  H5T_NATIVE_UINT16, H5T_NATIVE_INT16,
                           H5T_NATIVE_UINT32, H5T_NATIVE_INT32, H5T_NATIVE_UINT64, H5T_NATIVE_INT64,
                           H5T_NATIVE_FLOAT,  H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE}; // in the order of scalar
    return types[static_cast<int>(wanted)];
}

// Rows first_row ... of the dataset into `out`, where they have the type `memory`.
void read_rows(const hdf5_dataset& opened, std::int64_t first_row, std::int64_t rows, hid_t memory, void* out,
               const std::string& description) {
    const hdf5_section section;
    std::vector<hsize_t> start(opened.shape.size(), 0), count = opened.shape;
    start[0] = static_cast<hsize_t>(first_row);
    count[0] = static_cast<hsize_t>(rows);
    const hsize_t elements = static_cast<hsize_t>(rows * opened.cols);
    if (elements == 0)
        return;
    opened.chunks.check(opened.set.get(), first_row, rows, description);
    const hdf5_handle file_type(H5Dget_type(opened.set.get()), H5Tclose);
    const hdf5_handle file_space(H5Dget_space(opened.set.get()), H5Sclose);
    const hdf5_handle memory_space(H5Screate_simple(1, &elements, nullptr), H5Sclose);
    H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    if (H5Dread(opened.set.get(), memory < 0 ? file_type.get() : memory, memory_space.get(), file_space.get(),
                H5P_DEFAULT, out) < 0)
        fail_hdf5(description, fmt::format("cannot read rows {} to {}", first_row, first_row + rows - 1));
}

source_pointer open_rows(const std::shared_ptr<const hdf5_dataset>& opened, const std::string& description,
                         element_type type) {
    const auto fill = [=](std::int64_t first_row, std::int64_t rows, char* out) {
        if (!opened->raw) {
            const scalar number = type == element_type::float32 ? scalar::float32 : scalar::float64;
            return read_rows(*opened, first_row, rows, memory_type(*opened, number), out, description);
        }
        const std::int64_t bytes = size_of(opened->element.type);
        const host_memory stored(rows, opened->cols * bytes);
        read_rows(*opened, first_row, rows, -1, stored.data(), description);
        convert(opened->element, stored.data(), bytes, type, out, 1, rows * opened->cols);
    };
    return std::make_shared<filled_source>(description, opened->rows, opened->cols, type,
                                           [fill](std::int64_t) { return fill; });
}

// The type that keeps all digits of the columns, which for whole numbers the dataset itself has to say.
element_type type_of_columns(const hdf5_dataset& opened, const file_options& options,
                             const std::vector<std::int64_t>& columns, const std::string& description) {
    whole_number_check check(opened.element, options.type, columns, description);
    const std::int64_t bytes = size_of(opened.element.type), row_bytes = opened.cols * bytes;
    const std::int64_t step = std::max<std::int64_t>(1, read_bytes / std::max<std::int64_t>(row_bytes, 1));
    host_memory block;
    for (std::int64_t first = 0; first < opened.rows && check.goes_on(); first += step) {
        if (block.data() == nullptr)
            block = host_memory(std::min(step, opened.rows), row_bytes);
        const std::int64_t rows = std::min(step, opened.rows - first);
        read_rows(opened, first, rows, memory_type(opened, opened.element.type), block.data(), description);
        check.take({block.data(), rows, opened.cols, row_bytes, bytes});
    }
    return check.type();
}

} // namespace

std::unique_ptr<opened_file> open_hdf5(const input_file& file, const file_options& options) {
    const std::string description = options.dataset.empty() ? file.name() : file.name() + ":" + options.dataset;
    const std::shared_ptr<const hdf5_dataset> opened = open_dataset(file, options.dataset);
    const auto read = [=](const group_columns& groups) {
        array_layout layout{opened->element, opened->rows, opened->cols};
        if (options.type && !is_whole(layout.element.type))
            layout.element.type = *options.type == element_type::float32 ? scalar::float32 : scalar::float64;
        growing_memory all;
        if (layout.bytes() <= keep_limit(options) && all.grow(layout.bytes())) {
            read_rows(*opened, 0, opened->rows, memory_type(*opened, layout.element.type), all.data(), description);
            return open_elements(description, all.release(layout.bytes()), layout, options.type, groups);
        }
        std::vector<source_pointer> sources;
        for (const auto& group : groups) {
            const element_type type = type_of_columns(*opened, options, group, description);
            sources.push_back(select_columns(open_rows(opened, description, type), group));
        }
        return sources;
    };
    return std::make_unique<array_file>(description, opened->cols, read);
}

} // namespace elbo::io

#endif
