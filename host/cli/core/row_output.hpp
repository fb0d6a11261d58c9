// Rows of numbers, batch by batch, to a file or to standard output.
#pragma once

#include "host/cli/core/options.hpp"

#include "elbo/matrix_view.hpp"
#include "host/io/write/matrix.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// Throws invalid_argument where rows and JSON summary both want standard output.
void check_row_output(const std::string& path, const output_options& options);

/// The rows of a result under the path of --output: a file by its ending, or CSV on standard output for "-".
class row_output {
public:
    /// One name a column. Throws as matrix_writer::open.
    row_output(const std::string& path, std::int64_t rows, std::vector<std::string> names, io::output_type type);
    /// The next rows, in host memory. Throws write_failure, and interrupted after Ctrl-C.
    template <class T>
    void append(const matrix_view<const T>& rows);
    /// Throws write_failure.
    void close();
    bool printed() const { return !writer_; }

private:
    std::vector<std::string> names_;
    std::optional<io::matrix_writer> writer_; ///< none: standard output
};

extern template void row_output::append(const matrix_view<const float>&);
extern template void row_output::append(const matrix_view<const double>&);

/// "NAME0", "NAME1", ...
std::vector<std::string> numbered(const std::string& name, std::int64_t count);

} // namespace elbo::cli
