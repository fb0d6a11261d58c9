// Matrices as bytes: .npy and raw .f32, .f64.
#include "host/io/write/matrix_format.hpp"

#include <fmt/format.h>

namespace elbo::io {
namespace {

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

const char* numpy_name(output_type type) {
    switch (type) {
    case output_type::float32:
        return "<f4";
    case output_type::float64:
        return "<f8";
    case output_type::int32:
        return "<i4";
    case output_type::int64:
        return "<i8";
    }
    return "";
}

// Version 1.0, padded with blanks so that the numbers begin at a multiple of 64 bytes, as NumPy does.
std::string numpy_header(std::int64_t rows, std::int64_t cols, output_type type) {
    constexpr std::size_t prefix = 10, alignment = 64;
    std::string text =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {}), }}", numpy_name(type), rows, cols);
    text.append((alignment - (prefix + text.size() + 1) % alignment) % alignment, ' ');
    text += '\n';
    std::string header = "\x93NUMPY";
    header += {'\x01', '\x00', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
    return header + text;
}

} // namespace

std::unique_ptr<matrix_writer::format> create_npy(const std::string& path, std::int64_t rows, std::int64_t cols,
                                                  output_type type) {
    return std::make_unique<binary_format>(path, numpy_header(rows, cols, type));
}

std::unique_ptr<matrix_writer::format> create_raw(const std::string& path) {
    return std::make_unique<binary_format>(path, "");
}

} // namespace elbo::io
