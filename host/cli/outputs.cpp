#include "host/cli/outputs.hpp"

#include "host/io/atomic_file.hpp"
#include "host/io/json_text.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <set>
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

} // namespace

void check_writable(std::initializer_list<std::string> paths) {
    std::set<std::string> seen;
    for (const std::string& path : paths) {
        if (path.empty() || path == "-")
            continue;
        if (!seen.insert(path).second)
            throw invalid_argument(fmt::format("{}: named for two outputs", path));
        check_place(path);
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

} // namespace elbo::cli
