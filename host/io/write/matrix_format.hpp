// What one kind of output file implements.
#pragma once

#include "host/io/format.hpp"
#include "host/io/write/matrix.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace elbo::io {

class matrix_writer::format {
public:
    virtual ~format() = default;
    /// `rows` densely packed rows of numbers of `type`.
    virtual void write(const void* numbers, std::int64_t rows) = 0;
    virtual void close() = 0;

    std::string path;
    std::int64_t rows = 0, cols = 0;
    output_type type = output_type::float64;
    std::int64_t written = 0; ///< rows so far
};

std::int64_t size_of(output_type type);

std::unique_ptr<matrix_writer::format> create_hdf5(const located_file& target, std::int64_t rows, std::int64_t cols,
                                                   output_type type);
/// Throws invalid_argument where writing would lose what the file holds, or where the dataset is there already.
void check_hdf5_target(const located_file& target);

} // namespace elbo::io
