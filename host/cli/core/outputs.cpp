#include "host/cli/core/outputs.hpp"

#include "host/cli/core/progress.hpp"
#include "host/io/format.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/joined.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace elbo::cli {

namespace fs = std::filesystem;

namespace {

void check_place(const std::string& path) {
    const fs::path folder = fs::path(path).parent_path();
    const std::string parent = folder.empty() ? "." : folder.string();
    if (!fs::is_directory(parent))
        throw file_error(fmt::format("{}: cannot be written: there is no folder {}", path, parent));
    if (fs::is_directory(path))
        throw file_error(fmt::format("{}: cannot be written: it is a folder", path));
    if (access(parent.c_str(), W_OK) != 0)
        throw file_error(fmt::format("{}: cannot be written: {}: {}", path, parent, std::strerror(errno)));
}

struct named_file {
    std::string path; ///< as it was given
    std::string identity;
    bool input = false;
};

// "-" is the open file `standard`.
std::string identity_of(const std::string& path, int standard) {
    if (path.empty())
        return {};
    const std::string file = io::locate(path).path;
    struct stat status {};
    const bool exists = path == "-" ? fstat(standard, &status) == 0 : stat(file.c_str(), &status) == 0;
    if (exists)
        return S_ISREG(status.st_mode) ? fmt::format("{}:{}", status.st_dev, status.st_ino) : std::string();
    std::error_code failed;
    const fs::path place = fs::weakly_canonical(fs::absolute(file), failed);
    return path == "-" || failed ? std::string() : place.string();
}

// Compares an output with all files before it, and adds it to them.
void check_one(std::vector<named_file>& seen, const command_files& files, const std::string& path) {
    const std::string identity = identity_of(path, STDOUT_FILENO);
    if (identity.empty())
        return;
    const bool adds = !io::locate(path).dataset.empty(); // to what is there, which stays
    const bool updates =
        !files.outputs.empty() && path == files.outputs.front() && identity == identity_of(files.updated, STDIN_FILENO);
    for (const named_file& other : seen) {
        if (other.identity != identity || (other.input && (adds || updates)))
            continue;
        if (!other.input)
            throw invalid_argument(fmt::format("{}: named for two outputs{}", path,
                                               other.path == path ? "" : ", the other one as " + other.path));
        const bool hdf5 = io::format_of_path(path).format == io::file_format::hdf5;
        throw invalid_argument(fmt::format("{}: is an input, too{}, and would be lost: expected another file{}", path,
                                           other.path == path ? "" : ", as " + other.path,
                                           hdf5 ? fmt::format(", or a new dataset in it, {}:/NAME", path) : ""));
    }
    seen.push_back({path, identity, false});
}

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

std::string identity_of(const std::string& path) {
    return identity_of(path, STDIN_FILENO);
}

void check_files(const command_files& files) {
    std::vector<named_file> seen;
    for (const std::string& path : files.inputs)
        if (const std::string id = identity_of(path, STDIN_FILENO); !id.empty())
            seen.push_back({path, id, true});
    const bool prints = std::count(files.rows.begin(), files.rows.end(), "-") > 0;
    if (prints)
        check_one(seen, files, "-");
    for (const auto* list : {&files.outputs, &files.rows})
        for (const std::string& path : *list) {
            if (path.empty() || path == "-")
                continue;
            check_place(io::locate(path).path);
            check_one(seen, files, path);
            if (list == &files.rows)
                io::matrix_writer::check(path);
        }
}

void check_model_path(const std::string& path) {
    if (!path.empty() && !path.ends_with(".safetensors") && !path.ends_with(".json"))
        throw invalid_argument(fmt::format("--output {}: a model is written as .safetensors or .json", path));
}

void writing(const std::function<void()>& write) {
    try {
        write();
    } catch (const file_error& problem) {
        throw write_failure(problem.what());
    }
}

void write_text(const std::string& path, std::string_view text) {
    writing([&] {
        io::atomic_file file(path);
        file.write(text);
        file.commit();
    });
}

void write_json(const output_options& options, const json& summary) {
    if (options.json.empty())
        return;
    std::string text = "{";
    for (const auto& [key, value] : summary.items())
        text += fmt::format("{}\n  {}: {}", text.size() == 1 ? "" : ",", io::json_text(key),
                            io::json_text(value, io::key_order::as_added));
    text += "\n}\n";
    if (options.json_to_stdout())
        print(text);
    else
        write_text(options.json, text);
}

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw write_failure(fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

void print_results(const output_options& options, std::string_view text) {
    if (!options.quiet && !options.json_to_stdout())
        print(text);
}

void note(const output_options& options, std::string_view text) {
    if (!options.quiet)
        fmt::print(stderr, "elbo: {}\n", text);
}

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

void row_output::append(const any_matrix_view& rows) {
    throw_if_interrupted();
    if (writer_)
        writing([&] { writer_->append(rows); });
    else if (printed_ && rows.type == element_type::float32)
        print_rows(std::exchange(head_, {}), rows.as<float>());
    else if (printed_)
        print_rows(std::exchange(head_, {}), rows.as<double>());
}

void row_output::close() {
    if (writer_)
        writing([&] { writer_->close(); });
}

void row_options::add(parser& command, const std::string& what) {
    add_rows_option(command, path, what);
    command.add_option(type_option, type);
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
