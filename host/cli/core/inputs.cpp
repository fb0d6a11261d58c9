#include "host/cli/core/inputs.hpp"

#include "host/cli/core/progress.hpp"

#include "elbo/gmm/algebra.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/errors.hpp"
#include "host/io/format.hpp"
#include "host/io/input_file.hpp"
#include "host/io/sources.hpp"
#include "host/joined.hpp"
#include "host/report/page/pages.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <unordered_set>

namespace elbo::cli {
namespace {

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What goes with the rows: a column of the data, or a file of its own.
struct side_column {
    const char* option; ///< "--weights"
    std::string where;
    std::vector<double> input_data::*values;
};

std::vector<double> read_column(const data_source& column, const side_column& side) {
    if (column.cols() != 1)
        throw invalid_argument(fmt::format("{} {}: {} has {} columns, expected one", side.option, side.where,
                                           column.description(), column.cols()));
    return report::evenly_spaced_rows(column, column.rows(), throw_if_interrupted); // all of them
}

// A name is looked for among the columns first; a number only where there is no file of that name.
bool is_column(const std::string& name, const std::vector<std::string>& keys) {
    const bool found = std::find(keys.begin(), keys.end(), name) != keys.end();
    return found && !(is_number(name) && std::filesystem::exists(name));
}

// The options of DATA for another file: what says how text is laid out is about tables of text alone.
data_options for_file(data_options options, const std::string& path) {
    const io::located_file where = io::locate(path);
    const io::file_format format = io::format_of_path(where.path).format;
    if (format != io::file_format::text && format != io::file_format::unknown) {
        options.header = "auto";
        options.delimiter.clear();
        options.decimal_comma = false;
    }
    if (!where.dataset.empty())
        options.dataset.clear();
    options.path = path;
    return options;
}

// A file of its own has a layout of its own, written by the same program.
std::vector<double> read_side_file(const data_options& options, const side_column& side,
                                   const std::vector<std::string>& keys) {
    if (side.where == io::standard_input && options.path == io::standard_input)
        throw invalid_argument(fmt::format("{} -: standard input is the data already", side.option));
    if (side.where != io::standard_input && !std::filesystem::exists(io::locate(side.where).path))
        throw invalid_argument(fmt::format("{} {}: neither a column of {} ({}) nor a file", side.option, side.where,
                                           options.path, joined(keys, ", ")));
    file_options read = reading_options(for_file(options, side.where));
    read.dataset.clear();
    read.header = header_row::automatic;
    return read_column(data_source::file(side.where, read), side);
}

bool has_all(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
    const std::unordered_set<std::string_view> there(names.begin(), names.end());
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& name) { return there.contains(name); });
}

// Whether the columns of the model are there, but some of them among those that are left out where nobody chooses.
bool has_left_out(const io::opened_file& file, const std::vector<std::string>& own, const model_columns& model) {
    std::vector<std::string> known = own;
    for (const left_out_column& column : file.left_out)
        known.push_back(column.name);
    return !has_all(own, model.names) && has_all(known, model.names);
}

data_source matched(const data_source& data, const model_columns& model) {
    try {
        return match_columns(data, model.names, model.model);
    } catch (const invalid_argument& differs) {
        throw invalid_argument(fmt::format("{}; --by-position takes columns by their order", differs.what()));
    }
}

// What the data has beyond the columns of the model is left out, too. `whole`: all that could be taken of the file, of
// which those of the data are some in their order.
void note_others(const std::vector<std::string>& whole, const std::vector<std::string>& data,
                 const std::vector<std::string>& kept, std::vector<left_out_column>& left_out) {
    const std::unordered_set<std::string_view> used(kept.begin(), kept.end());
    std::unordered_set<std::int64_t> gone; // numbers in the file
    for (const left_out_column& column : left_out)
        gone.insert(column.number);
    std::erase_if(left_out, [&](const left_out_column& c) { return used.contains(c.name); });
    auto own = data.begin();
    std::int64_t number = 0;
    for (const std::string& name : whole) {
        while (gone.contains(number))
            ++number;
        if (own != data.end() && name == *own) {
            if (!used.contains(name))
                left_out.push_back({number, name, "not a column of the model"});
            ++own;
        }
        ++number;
    }
}

// What the values are multiplied with; grey values are images of unsigned bytes, as those of MNIST.
double scale_of(const data_options& options) {
    const bool grey_values = io::has_ending(options.path, "-ubyte") || io::has_ending(options.path, "-ubyte.gz");
    return options.scale.value_or(grey_values ? 1.0 / 255 : 1.0);
}

std::vector<side_column> sides_of(const data_options& options) {
    return {{"--weights", options.weights, &input_data::weights}, {"--labels", options.labels, &input_data::labels}};
}

// Data and columns beside them come from one pass over the file.
input_data open_with_sides(const data_options& options, const model_columns& model) {
    const auto file = io::open_file(options.path, reading_options(options));
    std::vector<io::column_group> groups{{options.columns, scale_of(options)}};
    std::vector<side_column> sides = sides_of(options);
    std::erase_if(sides, [](const side_column& side) { return side.where.empty(); });
    const std::vector<std::string> keys = sides.empty() ? file->names : file->keys();
    std::vector<std::string> rest = keys;
    for (const side_column& side : sides) {
        if (!is_column(side.where, keys))
            continue;
        groups.push_back({{side.where}});
        std::erase(rest, side.where);
        if (rest.empty())
            throw invalid_argument(fmt::format("{} {}: {} has no other column", side.option, side.where, options.path));
    }
    const std::vector<std::string> own = file->names.empty() ? file->names : rest; // of the data, where nobody chooses
    const bool chosen = !options.columns.empty();
    const bool by_name = !options.by_position && !model.names.empty();
    if (by_name && !chosen && !own.empty() && has_left_out(*file, own, model))
        groups.front().columns = model.names;
    const std::vector<data_source> taken = file->take(groups);
    const data_source& data = taken.front();
    input_data opened{
        .data = by_name ? matched(data, model) : data, .remarks = data.remarks(), .scale = scale_of(options)};
    if (!chosen)
        opened.left_out = file->left_out;
    if (by_name)
        note_others(chosen ? data.column_names() : file->names, chosen ? data.column_names() : own,
                    opened.data.column_names(), opened.left_out);
    auto next = taken.begin() + 1;
    for (const side_column& side : sides)
        opened.*side.values =
            is_column(side.where, keys) ? read_column(*next++, side) : read_side_file(options, side, keys);
    return opened;
}

} // namespace

gmm::sample_labels input_data::known() const {
    if (labels.empty())
        return {};
    return gmm::sample_labels::from_column(
        matrix_view<const double>(labels.data(), static_cast<std::int64_t>(labels.size()), 1));
}

std::int64_t input_data::labelled() const {
    return std::ranges::count_if(labels, [](double label) { return label != -1; });
}

input_data open_data(const data_options& options, const model_columns& model) {
    input_data opened = open_with_sides(options, model);
    for (const side_column& side : sides_of(options))
        if (!side.where.empty() && std::ssize(opened.*side.values) != opened.data.rows())
            throw invalid_argument(fmt::format("{} {}: has {} rows, expected {}, the rows of {}", side.option,
                                               side.where, (opened.*side.values).size(), opened.data.rows(),
                                               options.path));
    return opened;
}

data_source open_alike(data_options options, const std::string& path, const model_columns& columns) {
    options.scale = scale_of(options);
    return open_with_sides(for_file(std::move(options), path), columns).data;
}

void tell(const output_options& output, const input_data& input) {
    constexpr std::size_t shown = 5;
    for (const std::string& remark : input.remarks)
        note(output, remark);
    for (std::size_t i = 0; i < std::min(input.left_out.size(), shown); ++i) {
        const left_out_column& column = input.left_out[i];
        note(output,
             fmt::format("{}: column {}{} is left out: {}", input.data.description(), column.number + 1,
                         column.name.empty() ? "" : fmt::format(" ({})", io::in_quotes(column.name)), column.reason));
    }
    if (input.left_out.size() > shown)
        note(output,
             fmt::format("{}: {} more columns are left out", input.data.description(), input.left_out.size() - shown));
}

void add_left_out(json& summary, const input_data& input) {
    if (input.left_out.empty())
        return;
    json list = json::array();
    for (const left_out_column& column : input.left_out)
        list.push_back({{"column", column.number}, {"name", column.name}, {"reason", column.reason}});
    summary["left_out"] = list;
}

gmm::model load_in_order(const std::string& path, const model_columns& columns, bool by_position) {
    gmm::saved_model saved = gmm::load_saved(path);
    const std::vector<std::string>& names = saved.column_names;
    if (by_position || names.empty() || names.size() != columns.names.size() || names == columns.names)
        return std::move(saved.model); // another number of columns is refused by who takes the model
    std::vector<std::int64_t> order;
    for (const std::string& name : columns.names) {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end())
            throw invalid_argument(fmt::format("{} has the columns {}: expected those of {}, {}; --by-position takes "
                                               "columns by their order",
                                               path, joined(names, ", "), columns.model, joined(columns.names, ", ")));
        order.push_back(found - names.begin());
    }
    return gmm::marginal(saved.model, order);
}

void check_columns(const std::string& model_path, std::int64_t wanted, const char* what, const data_source& data) {
    if (wanted != data.cols())
        throw invalid_argument(fmt::format("the model {} has {} {}, but {} has {} columns (choose some with --columns)",
                                           model_path, wanted, what, data.description(), data.cols()));
}

std::vector<float> row_of(const data_source& data, std::int64_t number, const char* option) {
    if (number < 0 || number >= data.rows())
        throw invalid_argument(
            fmt::format("{} {}: expected a row of {}, 0 to {}", option, number, data.description(), data.rows() - 1));
    const std::vector<double> row = report::gather_rows(
        data, 1, [&](std::int64_t) { return number; }, throw_if_interrupted);
    return {row.begin(), row.end()};
}

} // namespace elbo::cli
