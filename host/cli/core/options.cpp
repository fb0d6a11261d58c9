#include "host/cli/core/options.hpp"

#include "host/joined.hpp"

#include <fmt/format.h>
#include <span>

namespace elbo::cli {

void add_output_options(parser& command, output_options& options) {
    command.add_option("--json", options.json, "Write a machine-readable summary; - is standard output", "FILE",
                       "Output");
    command.add_flag("-q,--quiet", options.quiet, "Print neither progress nor results", "Output");
}

void add_device_options(parser& command, device_options& options) {
    command.add_option("--device", options.device, "Where to compute: auto, cpu, cuda, cuda:N or reference", "DEVICE",
                       "Device");
    command.add_option("--threads", options.threads, "Threads of the CPU back end; 0 takes all", "N", "Device");
}

context make_context(const device_options& options) {
    const std::string& device = options.device;
    if (device == "cpu")
        return context::cpu(options.threads);
    if (device == "reference")
        return context::reference();
    if (device == "cuda")
        return context::cuda();
    if (device.starts_with("cuda:")) {
        const std::optional<int> ordinal = number_of<int>(std::string_view(device).substr(5));
        if (!ordinal || *ordinal < 0)
            throw invalid_argument(fmt::format("--device {}: expected a device number, as in cuda:0", device));
        return context::cuda(*ordinal);
    }
    if (device != "auto")
        throw invalid_argument(fmt::format("--device {}: expected auto, cpu, cuda, cuda:N or reference", device));
    const context best = context::best();
    return best.where() == backend::cpu ? context::cpu(options.threads) : best;
}

namespace {

char delimiter_from_string(const std::string& text) {
    if (text.empty())
        return 0;
    if (text == "tab" || text == "\\t")
        return '\t';
    if (text == "space")
        return ' ';
    if (text.size() != 1)
        throw invalid_argument(fmt::format("--delimiter {}: expected one character, tab or space", text));
    return text[0];
}

} // namespace

file_options reading_options(const data_options& options) {
    file_options read;
    read.dataset = options.dataset;
    read.dimensions = options.dimensions.value_or(0);
    read.header = static_cast<header_row>(place_of("--header", options.header, {"auto", "yes", "no"}));
    read.delimiter = delimiter_from_string(options.delimiter);
    read.decimal_comma = options.decimal_comma;
    read.missing = options.missing;
    read.strict = options.strict;
    if (options.memory_limit > 0)
        read.keep = options.memory_limit / 2; // a copy of all rows may be as large
    return read;
}

std::vector<std::string> files_of(const data_options& options, std::vector<std::string> others) {
    others.insert(others.end(), {options.path, options.weights, options.labels});
    return others;
}

void add_by_position_option(parser& command, data_options& options) {
    command.add_flag("--by-position", options.by_position,
                     "Take the columns by their order, not by the names that the model knows", "Data");
}

void add_data_options(parser& command, data_options& options, bool optional) {
    option data = command.add_option(
        "DATA", options.path,
        "Data file: .csv .tsv .npy .npz .f32 .f64 .h5 idx, also .gz; file.h5:/dataset; a pipe; - for "
        "standard input");
    if (!optional)
        data.required();
    command.add_option("--columns", options.columns, "Columns to use, by name or by number from 0 (default: all)",
                       "A,B,...", "Data");
    command.add_option("--dimensions", options.dimensions, "Columns of a raw .f32 or .f64 file", "D", "Data");
    command.add_option("--dataset", options.dataset, "Dataset of an HDF5 file, or member of an .npz file", "NAME",
                       "Data");
    command.add_option("--header", options.header,
                       "Whether the first line of a text table holds names: auto, yes or no", "WHEN", "Data");
    command.add_option(
        "--delimiter", options.delimiter,
        "What separates the fields of a text table: a character, tab or space (default: found by itself)", "CHARACTER",
        "Data");
    command.add_flag("--decimal-comma", options.decimal_comma, "In a text table 1,5 is one and a half", "Data");
    command.add_option("--missing", options.missing,
                       "Texts or numbers that stand for missing values, which are refused with their row and column",
                       "TEXT,...", "Data");
    command.add_flag("--strict", options.strict, "Refuse a file of which a column would be left out", "Data");
}

void add_scale_option(parser& command, data_options& options) {
    options.scale.reset();
    command.add_option("--scale", options.scale,
                       "Every value of DATA times this (default: 1/255 for images in -ubyte files, else 1)", "S",
                       "Data");
}

void add_rows_option(parser& command, std::string& path, const std::string& what) {
    command.add_option("-o,--output", path, fmt::format("Write {} (.csv, .npy, .f32, .f64, .h5); - prints them", what),
                       "FILE", "Output");
}

std::vector<std::string> split(const std::string& text, char between) {
    std::vector<std::string> parts(1);
    for (const char c : text)
        if (c == between)
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

std::size_t place_of(const char* option, const std::string& typed, const std::vector<std::string>& values) {
    const auto found = std::ranges::find(values, typed);
    if (found == values.end())
        throw invalid_argument(fmt::format("{} {}: expected {} or {}", option, typed,
                                           joined(std::span(values).first(values.size() - 1), ", "), values.back()));
    return static_cast<std::size_t>(found - values.begin());
}

void refuse_given(const std::vector<option>& options, std::string_view why) {
    for (const option& o : options)
        if (o.count() > 0)
            throw invalid_argument(fmt::format("{}: {}", o.get_name(), why));
}

io::output_type output_type_from_string(const std::string& name) {
    return place_of("--type", name, {"float32", "float64"}) == 0 ? io::output_type::float32 : io::output_type::float64;
}

} // namespace elbo::cli
