// The commands that print a model.
#pragma once

#include "host/cli/core/apply_command.hpp"

namespace elbo::cli {

/// Of a kind of model as apply_command knows it, with
///     add_parameters(summary, saved)        what there is beside kind and sizes
///     text(saved)                           the same for people, to go on after describe(saved)
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
