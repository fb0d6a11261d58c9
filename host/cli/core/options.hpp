// Groups of options that several commands take.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "host/cli/core/command_line.hpp"
#include "host/fields.hpp"
#include "host/io/write/matrix.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

namespace elbo::cli {

/// FILE of --output where rows are written, or printed.
void add_rows_option(parser& command, std::string& path, const std::string& what);
/// The number that a text is; nothing where there is more to it, or less.
template <class T>
std::optional<T> number_of(std::string_view text) {
    T value{};
    const auto [stopped, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() && stopped == text.data() + text.size() ? std::optional(value) : std::nullopt;
}
/// The parts of a text, at least one.
std::vector<std::string> split(const std::string& text, char between);
/// The place of what was typed among the values of an option. Throws invalid_argument: "--type int: expected float32 or
/// float64".
std::size_t place_of(const char* option, const std::string& typed, const std::vector<std::string>& values);
/// Throws invalid_argument that names the first of these options that was given, and why it cannot be.
void refuse_given(const std::vector<option>& options, std::string_view why);

inline constexpr option_text seed_option{"--seed", "Seed of the random numbers", "S", ""};
inline constexpr option_text type_option{"--type", "Type of the numbers in FILE: float32 or float64", "TYPE", "Output"};
inline constexpr option_text density_option{"-o,--output", "Write log p(x) of every row (.csv, .npy, .f32, .f64, .h5)",
                                            "FILE", "Output"};
inline constexpr option_text model_output_option{"-o,--output", "Write the model: .safetensors or .json", "MODEL",
                                                 "Output"};
inline constexpr option_text report_option{"--report", "Write one self-contained page with pictures", "FILE.html",
                                           "Output"};
inline constexpr option_text weights_option{
    "--weights", "Weights of the samples: a column of DATA, or a file of one column", "FILE|COLUMN", "Data"};
inline constexpr option_text labels_option{
    "--labels", "Numbers by which the picture of the latents is coloured: a column of DATA, or a file of one column",
    "FILE|COLUMN", "Data"};
/// What is known of the components of a mixture.
inline constexpr option_text known_labels_option{
    "--labels",
    "Components that samples are known to come from, -1 where unknown: a column of DATA, or a file of one column",
    "FILE|COLUMN", "Data"};

/// --json, --quiet, and --report where the command makes pictures.
struct output_options {
    std::string json;
    std::string report;
    bool quiet = false;
    /// Whether standard output belongs to the JSON summary.
    bool json_to_stdout() const { return json == "-"; }
};
void add_output_options(parser& command, output_options& options);

/// --device and --threads.
struct device_options {
    std::string device = "auto";
    int threads = 0;
};
void add_device_options(parser& command, device_options& options);
/// Throws invalid_argument (no such kind of device) and not_available.
context make_context(const device_options& options);

/// The data file and how to read it.
struct data_options {
    std::string path;
    std::vector<std::string> columns;
    std::optional<std::int64_t> dimensions;
    std::string dataset;
    std::string header = "auto", delimiter; ///< of text tables
    bool decimal_comma = false;
    std::vector<std::string> missing;
    bool strict = false;             ///< nothing may be left out
    bool by_position = false;        ///< names of columns play no part, where a model has some
    std::string weights;             ///< where the command takes them
    std::string labels;              ///< the same
    std::optional<double> scale = 1; ///< none: 1/255 where the file holds grey values 0 ... 255 by its name, else 1
    std::int64_t memory_limit = 0;   ///< of data and what is made of it, where the command has one; 0: what fits
};
/// DATA is `optional` where the command does something else without it.
void add_data_options(parser& command, data_options& options, bool optional = false);
/// --by-position, of the commands where a model meets data.
void add_by_position_option(parser& command, data_options& options);
void add_scale_option(parser& command, data_options& options);

/// The files of the data: for check_files.
std::vector<std::string> files_of(const data_options& options, std::vector<std::string> others = {});
/// Throws invalid_argument.
file_options reading_options(const data_options& options);

/// --type of written numbers: "float32" or "float64"; throws invalid_argument for anything else.
io::output_type output_type_from_string(const std::string& name);

// Options that set the members of a struct of the library, as its fields say (host/fields.hpp).

template <class S, class M>
std::string help_of(M S::*member) {
    return std::string(field_of(member).help);
}

/// An option or a flag that sets options.*member, with the help of its field.
template <class S, class M>
option add_field(parser& app, const std::string& names, S& options, M S::*member, const std::string& type,
                 const std::string& group) {
    const std::string help = help_of(member);
    M& value = options.*member;
    if constexpr (std::same_as<M, bool>)
        return app.add_flag(names, value, help, group);
    else if constexpr (named<M>)
        return app.add_choice(
            names, std::string(name_of(value)),
            [&value](std::string text) {
                std::ranges::replace(text, '-', '_'); // cross-validation
                value = value_of<M>(text);
            },
            help, type, group);
    else
        return app.add_option(names, value, help, type, group);
}

} // namespace elbo::cli
