#include "host/io/write/matrix.hpp"

#include "elbo/error.hpp"
#include "host/io/write/atomic_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <type_traits>

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

// Calls visit with a number of the type.
template <class Visit>
void with_output(output_type type, const Visit& visit) {
    switch (type) {
    case output_type::float32:
        return visit(float());
    case output_type::float64:
        return visit(double());
    case output_type::int32:
        return visit(std::int32_t());
    case output_type::int64:
        return visit(std::int64_t());
    }
}

class binary_format final : public matrix_writer::format {
public:
    binary_format(const std::string& name, const std::string& header) : file_(name) { file_.write(header); }

    void write(const void* numbers, std::int64_t count) override {
        file_.write(numbers, static_cast<std::size_t>(count * cols * size_of(type)));
    }
    void close() override { file_.commit(); }

private:
    atomic_file file_;
};

// Version 1.0, padded with blanks so that the numbers begin at a multiple of 64 bytes, as NumPy does.
std::string numpy_header(std::int64_t rows, std::int64_t cols, output_type type) {
    constexpr const char* type_names[] = {"<f4", "<f8", "<i4", "<i8"}; // in the order of output_type
    constexpr std::size_t prefix = 10, alignment = 64;
    std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {}), }}",
                                   type_names[static_cast<int>(type)], rows, cols);
    text.append((alignment - (prefix + text.size() + 1) % alignment) % alignment, ' ');
    text += '\n';
    std::string header = "\x93NUMPY";
    header += {'\x01', '\x00', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
    return header + text;
}

constexpr std::size_t flush_bytes = std::size_t{1} << 18;

std::string quoted_name(const std::string& name) {
    if (name.find_first_of(",;\t\"\r\n ") == name.npos)
        return name;
    std::string out = "\"";
    for (const char c : name)
        out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

// Each number with the fewest digits that read back to the same bits.
class text_format final : public matrix_writer::format {
public:
    text_format(const std::string& name, char separator, const std::vector<std::string>& column_names)
        : file_(name), separator_(separator) {
        for (const std::string& column : column_names) {
            if (!pending_.empty())
                pending_ += separator_;
            pending_ += quoted_name(column);
        }
        if (!column_names.empty())
            pending_ += '\n';
    }

    void write(const void* numbers, std::int64_t count) override {
        with_output(type, [&](auto number) { write_as(static_cast<const decltype(number)*>(numbers), count); });
    }

    void close() override {
        flush();
        file_.commit();
    }

private:
    // A large number gets an exponent, or its digits would look like those of a whole number that float64 cannot hold.
    template <class T>
    void append(T number) {
        char digits[32]; // the longest is -2.2250738585072014e-308
        char* end = digits;
        if constexpr (std::is_floating_point_v<T>)
            if (std::abs(number) > T{1LL << 53})
                end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific).ptr;
        if (end == digits)
            end = std::to_chars(digits, digits + sizeof digits, number).ptr;
        pending_.append(digits, end);
    }

    template <class T>
    void write_as(const T* numbers, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) {
            for (std::int64_t j = 0; j < cols; ++j) {
                if (j > 0)
                    pending_ += separator_;
                append(*numbers++);
            }
            pending_ += '\n';
            if (pending_.size() >= flush_bytes)
                flush();
        }
    }

    void flush() {
        file_.write(pending_);
        pending_.clear();
    }

    atomic_file file_;
    char separator_;
    std::string pending_;
};

std::unique_ptr<matrix_writer::format> create(const std::string& path, std::int64_t rows, std::int64_t cols,
                                              output_type& type, const std::vector<std::string>& names) {
    switch (format_to_write(path)) {
    case file_format::text:
        return std::make_unique<text_format>(path, has_ending(path, ".tsv") ? '\t' : ',', names);
    case file_format::npy:
        return std::make_unique<binary_format>(path, numpy_header(rows, cols, type));
    case file_format::hdf5:
        return create_hdf5(locate(path), rows, cols, type);
    case file_format::float32:
        type = output_type::float32;
        return std::make_unique<binary_format>(path, "");
    default:
        type = output_type::float64;
        return std::make_unique<binary_format>(path, "");
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

} // namespace

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
        with_output(file.type, [&](auto number) {
            file.write(converted<decltype(number)>(batch.row(i), count * batch.cols, block), count);
        });
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
