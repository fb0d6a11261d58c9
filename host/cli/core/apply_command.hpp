// The commands that apply a model to data, or print it: the steps they share, for every kind of model.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/row_output.hpp"

#include "elbo/context.hpp"

#include <chrono>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

/// Model and data, which fit each other: columns are found by their names. `Kind` says what there is to know of a kind
/// of model (mixture_kind, latent_kind, vae_kind):
///     saved, input                          types of a model as it was read, and of the data
///     argument_help                         what MODEL is
///     saved load(path)
///     columns(saved), dimensions(saved)     the names of its columns, none where it knows none; how many there are
///     input open(data_options, model_columns)
///     note_on(context, output_options)      what there is to say about where it computes
///     describe(saved)                       in a few words
///     add_input(summary, input)             what there is to say of the data beside its rows
///     add_shape(summary, saved)             kind and sizes
template <class Kind>
struct applied {
    std::string command_line, model_path;
    context ctx;
    typename Kind::saved saved;
    typename Kind::input input;
    std::chrono::steady_clock::time_point began;

    const data_source& data() const { return input.data; }
    std::int64_t rows() const { return input.data.rows(); }
    std::string describe() const { return Kind::describe(saved); }
    /// Since the command began.
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); }
    /// The first line of a text: "m.json (full, 2 components, 2 dimensions) on faithful.csv".
    std::string heading() const {
        return fmt::format("{} ({}) on {}\n\n", model_path, describe(), input.data.description());
    }
};

/// What a command prints, if anything, and what makes the page of --report where it has one.
struct answer {
    std::string text = {};
    std::function<std::string()> page = {};
};

/// MODEL DATA, where to compute and what to write. A command derives from it with options and files of its own.
template <class Kind>
class apply_command {
public:
    virtual ~apply_command() = default;
    virtual void add_options(parser& app) = 0;
    exit_status run(const std::string& command_line) const;

protected:
    std::string model_path;
    data_options data;
    device_options device;
    output_options output;

    void add_inputs(parser& app, const std::string& model = Kind::argument_help) {
        app.add_option("MODEL", model_path, model)->required();
        add_data_options(app, data);
        add_by_position_option(app, data);
    }
    void add_common(parser& app) {
        add_inputs(app);
        add_device_options(app, device);
        add_output_options(app, output);
    }
    /// Checks the options, and returns the files of its own.
    virtual command_files files() const { return {}; }
    /// The names that columns of the data are found by, and a check of how many there are.
    virtual model_columns columns(const typename Kind::saved& saved) const {
        return {Kind::columns(saved), model_path};
    }
    virtual void check(const typename Kind::saved& saved, const data_source& rows) const {
        check_columns(model_path, Kind::dimensions(saved), "dimensions", rows);
    }
    /// The work; adds to what was found so far: command, version, device, model, samples and the shape of the model.
    virtual answer apply(const applied<Kind>& work, findings& found) const = 0;

private:
    applied<Kind> open(const std::string& command_line) const {
        const auto began = std::chrono::steady_clock::now();
        typename Kind::saved saved = Kind::load(model_path);
        context ctx = make_context(device);
        Kind::note_on(ctx, output);
        typename Kind::input input = Kind::open(data, columns(saved));
        tell(output, input.data, input.notes);
        check(saved, input.data);
        return {command_line, model_path, std::move(ctx), std::move(saved), std::move(input), began};
    }
};

template <class Kind>
exit_status apply_command<Kind>::run(const std::string& command_line) const {
    command_files all = files();
    const std::vector<std::string> inputs = files_of(data, {model_path});
    all.inputs.insert(all.inputs.end(), inputs.begin(), inputs.end());
    all.outputs.insert(all.outputs.end(), {output.json, output.report});
    check_files(all);
    const interrupt_guard guard;
    const applied<Kind> work = open(command_line);
    findings found(command_line, work.ctx);
    found.add("model", model_path);
    found.add("samples", work.rows());
    Kind::add_input(found.summary, work.input);
    Kind::add_shape(found.summary, work.saved);
    add_left_out(found.summary, work.input.notes);
    const answer result = apply(work, found);
    throw_if_interrupted();
    write_json(output, found.summary);
    if (!output.report.empty())
        write_text(output.report, result.page());
    print_results(output, result.text);
    return exit_status::success;
}

/// Prints a model. `Kind` has beside what apply_command needs
///     add_parameters(summary, saved)        what there is beside kind and sizes
///     text(saved)                           the same for people, to go on after describe(saved)
/// and info_page(saved, path, command_line) where there is a page.
template <class Kind>
struct info_command {
    std::string model_path;
    output_options output;

    void add_options(parser& app) {
        app.add_option("MODEL", model_path, Kind::argument_help)->required();
        add_output_options(app, output);
        if constexpr (requires { Kind::info_page; })
            add_report_option(app, output);
    }

    exit_status run(const std::string& command_line) const {
        check_files({.inputs = {model_path}, .outputs = {output.json, output.report}});
        const typename Kind::saved saved = Kind::load(model_path);
        findings found(command_line);
        found.add("model", model_path);
        Kind::add_shape(found.summary, saved);
        Kind::add_parameters(found.summary, saved);
        write_json(output, found.summary);
        if constexpr (requires { Kind::info_page; })
            if (!output.report.empty())
                write_text(output.report, Kind::info_page(saved, model_path, command_line));
        print_results(output, fmt::format("{}: {}{}", model_path, Kind::describe(saved), Kind::text(saved)));
        return exit_status::success;
    }
};

} // namespace elbo::cli
