// What a command writes: checked before the work, written after it.
#pragma once

#include "host/cli/core/options.hpp"
#include "host/io/model/json.hpp"

#include "elbo/matrix_view.hpp"

namespace elbo::cli {

using io::json;

/// A result could not be written although its place looked right (disk full): a failure of the machine.
class write_failure : public error {
public:
    using error::error;
};

/// The files of a command. Empty paths are passed over; "-" is standard input or output; "file.h5:/name" is a dataset.
struct command_files {
    std::vector<std::string> inputs;    ///< data, weights, labels, models: also names that turn out to be columns
    std::vector<std::string> outputs;   ///< models, summaries, pages, pictures
    std::vector<std::string> rows = {}; ///< outputs that are matrices
    std::string updated = {};           ///< the input that the first output may replace: a state, a checkpoint
};

/// Device and inode of an ordinary file, whatever its name; the place where a file would be made. Empty for what
/// nothing can be lost of: devices, pipes. "-" is standard input.
std::string identity_of(const std::string& path);

/// Checks before any work that files can be made at these paths, and that none of them is lost: an output that is an
/// input, or another output, by device and inode through links, is refused. Throws file_error (no such folder, a folder
/// itself, no permission) and invalid_argument (one file named twice; a kind of file that is not written; an HDF5 file
/// that holds other data, or the dataset).
void check_files(const command_files& files);
/// Throws invalid_argument unless a model can be written to this path (.safetensors, .json) or it is empty.
void check_model_path(const std::string& path);

/// Runs `write`, turning a file_error into a write_failure.
void writing(const std::function<void()>& write);
/// Saves a model where there is a path.
template <class Model>
void write_model(const Model& m, const std::string& path, const std::vector<std::string>& column_names) {
    if (!path.empty())
        writing([&] { save(m, path, column_names); });
}

/// Writes a text file as a whole or not at all. Throws write_failure.
void write_text(const std::string& path, std::string_view text);
/// Writes the summary where --json says, if it does: one key a line.
void write_json(const output_options& options, const json& summary);
/// Prints results to standard output. Throws write_failure.
void print(std::string_view text);
/// Prints unless --quiet, or --json - has standard output for itself.
void print_results(const output_options& options, std::string_view text);
/// One line "elbo: ..." on standard error, unless --quiet.
void note(const output_options& options, std::string_view text);

// Rows of numbers, batch by batch, to a file or to standard output.

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
    void append(const any_matrix_view& rows);
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

/// --output and --type of a command whose result is rows.
struct row_options {
    std::string path = "-";
    std::string type = "float64";

    void add(parser& command, const std::string& what);
    /// For check_files. Throws invalid_argument.
    command_files files(const output_options& output) const;
    row_output open(std::int64_t rows, std::vector<std::string> names) const;
    /// The name of the file for people.
    const std::string& written() const { return path; }
};

/// "NAME0", "NAME1", ...
std::vector<std::string> numbered(const std::string& name, std::int64_t count);

} // namespace elbo::cli
