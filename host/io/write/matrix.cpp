#include "host/io/write/matrix.hpp"

#include "elbo/error.hpp"
#include "host/io/format.hpp"
#include "host/io/write/matrix_format.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::io {
namespace {

constexpr std::int64_t block_numbers = 1 << 16; // converted at a time

// Throws invalid_argument for a kind of file that is not written.
file_format format_to_write(const std::string& path) {
    const path_format kind = format_of_path(locate(path).path);
    for (const file_format written :
         {file_format::text, file_format::npy, file_format::hdf5, file_format::float32, file_format::float64})
        if (kind.format == written && !kind.gzip)
            return written;
    throw invalid_argument(fmt::format("'{}': cannot write this kind of file, expected the ending .csv, .tsv, .npy, "
                                       ".f32, .f64, .h5 or .hdf5",
                                       path));
}

std::unique_ptr<matrix_writer::format> create(const std::string& path, std::int64_t rows, std::int64_t cols,
                                              output_type& type, const std::vector<std::string>& names) {
    switch (format_to_write(path)) {
    case file_format::text:
        return create_text(path, has_ending(path, ".tsv") ? '\t' : ',', names);
    case file_format::npy:
        return create_npy(path, rows, cols, type);
    case file_format::hdf5:
        return create_hdf5(locate(path), rows, cols, type);
    case file_format::float32:
        type = output_type::float32;
        return create_raw(path);
    default:
        type = output_type::float64;
        return create_raw(path);
    }
}

template <class To, class From>
const void* converted(const From* row, std::int64_t count, std::vector<char>& block) {
    block.resize(static_cast<std::size_t>(count) * sizeof(To));
    std::transform(row, row + count, reinterpret_cast<To*>(block.data()), [](From x) { return static_cast<To>(x); });
    return block.data();
}

// float32 would make an infinity of a number beyond its range.
template <class From>
void require_float32(const std::string& path, const From* numbers, std::int64_t count) {
    const From* const wrong = std::find_if(numbers, numbers + count,
                                           [](From x) { return std::isinf(static_cast<float>(x)) && !std::isinf(x); });
    if (wrong != numbers + count)
        throw invalid_argument(
            fmt::format("'{}': {} is beyond the range of float32: expected float64 (--type float64)", path, *wrong));
}

template <class From>
const void* converted_to(output_type type, const From* row, std::int64_t count, std::vector<char>& block) {
    switch (type) {
    case output_type::float32:
        return converted<float>(row, count, block);
    case output_type::float64:
        return converted<double>(row, count, block);
    case output_type::int32:
        return converted<std::int32_t>(row, count, block);
    case output_type::int64:
        return converted<std::int64_t>(row, count, block);
    }
    return nullptr;
}

} // namespace

output_type output_type_of(element_type type) {
    return type == element_type::float32 ? output_type::float32 : output_type::float64;
}

std::int64_t size_of(output_type type) {
    return type == output_type::float32 || type == output_type::int32 ? 4 : 8;
}

matrix_writer::matrix_writer(std::unique_ptr<format> f) : format_(std::move(f)) {}
matrix_writer::matrix_writer(matrix_writer&&) noexcept = default;
matrix_writer& matrix_writer::operator=(matrix_writer&&) noexcept = default;
matrix_writer::~matrix_writer() = default;

void matrix_writer::check(const std::string& path) {
    if (format_to_write(path) == file_format::hdf5)
        check_hdf5_target(locate(path));
}

matrix_writer matrix_writer::open(const std::string& path, std::int64_t rows, std::int64_t cols, output_type type,
                                  const std::vector<std::string>& column_names) {
    if (rows < 0 || cols < 0)
        throw invalid_argument(fmt::format("'{}': {} rows, {} columns: expected at least 0", path, rows, cols));
    if (!column_names.empty() && static_cast<std::int64_t>(column_names.size()) != cols)
        throw invalid_argument(
            fmt::format("'{}': {} column names, expected none or {}", path, column_names.size(), cols));
    std::unique_ptr<format> file = create(path, rows, cols, type, column_names);
    file->path = path;
    file->rows = rows;
    file->cols = cols;
    file->type = type;
    return matrix_writer(std::move(file));
}

template <class T>
void matrix_writer::append_rows(const matrix_view<const T>& batch) {
    format& file = *format_;
    if (batch.space == memory_space::device)
        throw invalid_argument(fmt::format("'{}': the batch lies in device memory, expected host memory", file.path));
    if (batch.cols != file.cols)
        throw invalid_argument(
            fmt::format("'{}': the batch has {} columns, expected {}", file.path, batch.cols, file.cols));
    if (batch.rows > file.rows - file.written)
        throw invalid_argument(
            fmt::format("'{}': {} rows after {}, expected {} in all", file.path, batch.rows, file.written, file.rows));
    const bool dense = batch.stride == batch.cols;
    const std::int64_t step =
        dense ? std::max<std::int64_t>(1, block_numbers / std::max<std::int64_t>(batch.cols, 1)) : 1;
    std::vector<char> block;
    for (std::int64_t i = 0; i < batch.rows; i += step) {
        const std::int64_t count = std::min(step, batch.rows - i);
        if (file.type == output_type::float32)
            require_float32(file.path, batch.row(i), count * batch.cols);
        file.write(converted_to(file.type, batch.row(i), count * batch.cols, block), count);
        file.written += count;
    }
}

void matrix_writer::append(const any_matrix_view& batch) {
    if (batch.type == element_type::float32)
        append_rows(batch.as<float>());
    else
        append_rows(batch.as<double>());
}

void matrix_writer::append(matrix_view<const std::int32_t> batch) {
    append_rows(batch);
}
void matrix_writer::append(matrix_view<const std::int64_t> batch) {
    append_rows(batch);
}

void matrix_writer::close() {
    if (format_->written != format_->rows)
        throw invalid_argument(
            fmt::format("'{}': {} rows written, expected {}", format_->path, format_->written, format_->rows));
    format_->close();
}

} // namespace elbo::io
