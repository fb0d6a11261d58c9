// Rows of numbers, batch by batch, to a file or to standard output.
#pragma once

#include "host/cli/core/outputs.hpp"

#include "elbo/matrix_view.hpp"
#include "host/io/write/matrix.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// Throws invalid_argument where rows (`what`) and JSON summary both want standard output.
void check_row_output(const std::string& path, const output_options& options, const std::string& what = "rows");

/// Rows of a result under a path: a file by its ending, CSV on standard output for "-", nowhere for an empty one.
class row_output {
public:
    /// One name a column. Throws as matrix_writer::open.
    row_output(const std::string& path, std::int64_t rows, std::vector<std::string> names,
               io::output_type type = io::output_type::float64);
    /// The next rows, in host memory. What is printed begins with the first of them: nothing where there is none for a
    /// fault of the input. Throws write_failure, and interrupted after Ctrl-C.
    template <class T>
    void append(const matrix_view<const T>& rows);
    void append(const double* numbers, std::int64_t rows) {
        if (*this)
            append(matrix_view<const double>(numbers, rows, std::ssize(names_)));
    }
    /// Throws write_failure.
    void close();
    bool printed() const { return printed_; }
    explicit operator bool() const { return printed_ || writer_; }

private:
    std::vector<std::string> names_;
    const bool printed_;
    std::string head_; ///< of what is printed, until it is
    std::optional<io::matrix_writer> writer_;
};

extern template void row_output::append(const matrix_view<const float>&);
extern template void row_output::append(const matrix_view<const double>&);

/// --output and --type of a command whose result is rows.
struct row_options {
    std::string path = "-";
    std::string type = "float64";

    void add(parser& command, const std::string& what);
    /// For check_files. Throws invalid_argument.
    command_files files(const output_options& output) const;
    row_output open(std::int64_t rows, std::vector<std::string> names) const;
};

/// "NAME0", "NAME1", ...
std::vector<std::string> numbered(const std::string& name, std::int64_t count);

} // namespace elbo::cli
