// The commands that apply a model to data, draw samples of it, or print it: the steps they share, for every kind of
// model.
#pragma once

#include "host/cli/command.hpp"
#include "host/cli/core/findings.hpp"
#include "host/cli/core/inputs.hpp"
#include "host/cli/core/progress.hpp"

namespace elbo::cli {

/// Names of the columns of the data that a model was fitted to, or x0, x1, ...
template <class Kind>
std::vector<std::string> column_names_of(const typename Kind::saved& saved) {
    return Kind::columns(saved).empty() ? numbered("x", Kind::dimensions(saved)) : Kind::columns(saved);
}

/// Model and data, which fit each other: columns are found by their names. `Kind` says what there is to know of a kind
/// of model (mixture_kind, latent_kind, vae_kind):
///     saved                                 type of a model as it was read
///     argument_help                         what MODEL is
///     saved load(path)
///     columns(saved), dimensions(saved)     the names of its columns, none where it knows none; how many there are
///     describe(saved)                       in a few words
///     add_shape(summary, saved)             kind and sizes
/// and where they mean something
///     scaled                                --scale goes with the data
///     note_on(context, output_options)      what there is to say about where it computes
///     page(applied, facts)                  the page of --report
template <class Kind>
struct applied {
    std::string command_line, model_path;
    context ctx;
    typename Kind::saved saved;
    input_data input;
    std::chrono::steady_clock::time_point began;

    const data_source& data() const { return input.data; }
    std::int64_t rows() const { return input.data.rows(); }
    std::vector<std::string> column_names() const { return column_names_of<Kind>(saved); }
    std::string describe() const { return Kind::describe(saved); }
    /// Since the command began.
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); }
    /// The first line of a text: "m.json (full, 2 components, 2 dimensions) on faithful.csv".
    std::string heading() const {
        return fmt::format("{} ({}) on {}\n\n", model_path, describe(), input.data.description());
    }
};

/// MODEL DATA, where to compute and what to write. A command derives from it with options and files of its own.
template <class Kind>
class apply_command {
public:
    virtual ~apply_command() = default;
    virtual void add_options(parser& app) = 0;
    exit_status run(const std::string& command_line);

protected:
    std::string model_path;
    data_options data;
    device_options device;
    output_options output;

    void add_inputs(parser& app, const std::string& model = Kind::argument_help) {
        app.add_option("MODEL", model_path, model).required();
        add_data_options(app, data);
        add_by_position_option(app, data);
    }
    void add_common(parser& app) {
        add_inputs(app);
        add_device_options(app, device);
        add_output_options(app, output);
        if constexpr (requires { &Kind::page; })
            app.add_option(report_option, output.report);
        if constexpr (requires { Kind::scaled; })
            add_scale_option(app, data);
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
    /// Returns what is printed, if anything.
    virtual std::string apply(const applied<Kind>& work, findings& found) = 0;
    /// For --report, after it.
    virtual std::string page([[maybe_unused]] const applied<Kind>& work,
                             [[maybe_unused]] const fact_list& facts) const {
        if constexpr (requires { Kind::page(work, facts); })
            return Kind::page(work, facts);
        return {};
    }

private:
    applied<Kind> open(const std::string& command_line) const {
        const auto began = std::chrono::steady_clock::now();
        typename Kind::saved saved = Kind::load(model_path);
        context ctx = make_context(device);
        if constexpr (requires { Kind::note_on(ctx, output); })
            Kind::note_on(ctx, output);
        input_data input = open_data(data, columns(saved));
        tell(output, input);
        check(saved, input.data);
        return {command_line, model_path, std::move(ctx), std::move(saved), std::move(input), began};
    }
};

template <class Kind>
exit_status apply_command<Kind>::run(const std::string& command_line) {
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
    if constexpr (requires { Kind::scaled; })
        found.add("scale", work.input.scale);
    Kind::add_shape(found.summary, work.saved);
    add_left_out(found.summary, work.input);
    const std::string text = apply(work, found);
    throw_if_interrupted();
    write_json(output, found.summary);
    if (!output.report.empty())
        write_text(output.report, page(work, found.facts));
    print_results(output, text);
    return exit_status::success;
}

/// A command whose result are rows, which are written as `Rows` says.
template <class Kind, class Rows = row_options>
class row_command : public apply_command<Kind> {
protected:
    Rows rows;
    command_files files() const override { return rows.files(this->output); }
};

/// Draws samples of a model: rows that are written as `Rows` says. A command derives from it with options of its own.
template <class Kind, class Rows = row_options>
class draw_command {
public:
    virtual ~draw_command() = default;
    virtual void add_options(parser& app) = 0;

    exit_status run(const std::string& command_line) {
        if (count < 1)
            throw invalid_argument(fmt::format("-n {}: expected at least one sample", count));
        command_files all = files();
        all.inputs.push_back(model_path);
        all.outputs.insert(all.outputs.end(), {output.json, output.report});
        check_files(all);
        const interrupt_guard guard;
        const typename Kind::saved saved = Kind::load(model_path);
        findings found(command_line);
        const bool printed = draw(saved, command_line, found);
        write_json(output, found.summary);
        if (!printed)
            print_results(output, fmt::format("{}: {} samples of {} ({})\n", rows.written(), count, model_path,
                                              Kind::describe(saved)));
        return exit_status::success;
    }

protected:
    std::string model_path;
    std::int64_t count = 0;
    std::uint64_t seed = 0;
    output_options output;
    Rows rows;

    /// MODEL, -n and --seed.
    void add_inputs(parser& app) {
        app.add_option("MODEL", model_path, Kind::argument_help).required();
        app.add_option("-n,--samples", count, "Number of samples", "N").required();
        app.add_option(seed_option, seed);
    }
    virtual command_files files() const { return rows.files(output); }
    row_output open(const typename Kind::saved& saved) const { return rows.open(count, column_names_of<Kind>(saved)); }
    /// "model" and "samples".
    void add_drawn(findings& found) const {
        found.add("model", model_path);
        found.add("samples", count);
    }
    /// Writes the samples and adds to what was found; whether they were printed.
    virtual bool draw(const typename Kind::saved& saved, const std::string& command_line, findings& found) const = 0;
};

/// Prints a model. `Kind` has beside what apply_command needs
///     add_parameters(summary, saved)        what there is beside kind and sizes
///     text(saved)                           the same for people, to go on after describe(saved)
/// and info_page(saved, path, command_line) where there is a page.
template <class Kind>
struct info_command {
    std::string model_path;
    output_options output;

    void add_options(parser& app) {
        app.add_option("MODEL", model_path, Kind::argument_help).required();
        add_output_options(app, output);
        if constexpr (requires { Kind::info_page; })
            app.add_option(report_option, output.report);
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
