// What a command writes: checked before the work, written after it.
#pragma once

#include "host/cli/options.hpp"
#include "host/io/json.hpp"

#include "elbo/error.hpp"

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace elbo::cli {

using io::json;

/// A result could not be written although its place looked right (disk full): a failure of the machine.
class write_failure : public error {
public:
    using error::error;
};

/// Checks before long work that files can be made at these paths; empty paths and "-" are passed over. Throws
/// file_error (no such folder, a folder itself, no permission) and invalid_argument (one path given twice).
void check_writable(std::initializer_list<std::string> paths);
/// Throws invalid_argument unless a model can be written to this path (.safetensors, .json) or it is empty.
void check_model_path(const std::string& path);

/// Runs `write`, turning a file_error into a write_failure.
void writing(const std::function<void()>& write);

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

} // namespace elbo::cli
