#include "host/cli/core/row_output.hpp"

#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/joined.hpp"

#include "elbo/error.hpp"

#include <fmt/format.h>
#include <span>
#include <utility>

namespace elbo::cli {

namespace {

template <class T>
void print_rows(std::string text, const matrix_view<const T>& rows) {
    constexpr std::size_t chunk = 1 << 16;
    for (std::int64_t i = 0; i < rows.rows; ++i) {
        text += joined(std::span(rows.row(i), static_cast<std::size_t>(rows.cols)), ",") + "\n";
        if (text.size() >= chunk) {
            throw_if_interrupted();
            print(text);
            text.clear();
        }
    }
    print(text);
}

} // namespace

void check_row_output(const std::string& path, const output_options& options, const std::string& what) {
    if (path == "-" && options.json_to_stdout())
        throw invalid_argument(
            fmt::format("--json -: standard output has the {} already; write them with --output FILE", what));
}

row_output::row_output(const std::string& path, std::int64_t rows, std::vector<std::string> names, io::output_type type)
    : names_(std::move(names)), printed_(path == "-"), head_(joined(names_, ",") + "\n") {
    if (!path.empty() && !printed_)
        writer_ = io::matrix_writer::open(path, rows, std::ssize(names_), type, names_);
}

template <class T>
void row_output::append(const matrix_view<const T>& rows) {
    throw_if_interrupted();
    if (writer_)
        writing([&] { writer_->append(any_matrix_view(rows)); });
    else if (printed_)
        print_rows(std::exchange(head_, {}), rows);
}

template void row_output::append(const matrix_view<const float>&);
template void row_output::append(const matrix_view<const double>&);

void row_output::close() {
    if (writer_)
        writing([&] { writer_->close(); });
}

void row_options::add(parser& command, const std::string& what) {
    add_rows_option(command, path, what);
    add_type_option(command, type);
}

command_files row_options::files(const output_options& output) const {
    check_row_output(path, output);
    output_type_from_string(type);
    return {.inputs = {}, .outputs = {}, .rows = {path}};
}

row_output row_options::open(std::int64_t rows, std::vector<std::string> names) const {
    return row_output(path, rows, std::move(names), output_type_from_string(type));
}

std::vector<std::string> numbered(const std::string& name, std::int64_t count) {
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < count; ++i)
        names.push_back(fmt::format("{}{}", name, i));
    return names;
}

} // namespace elbo::cli
