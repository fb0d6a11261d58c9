#include "host/cli/command.hpp"
#include "host/cli/core/options.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/mixture/fit_options.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/gmm/statistics.hpp"
#include "elbo/version.hpp"
#include "host/gmm/stream/statistics_file.hpp"
#include "host/joined.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct maximize_command {
    std::vector<std::string> parts;
    std::string model_path;
    fit_arguments fit;
    output_options output;
};

gmm::saved_statistics merged(const std::vector<std::string>& parts) {
    gmm::saved_statistics all = gmm::load_saved_statistics(parts.front());
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const gmm::saved_statistics next = gmm::load_saved_statistics(parts[i]);
        if (next.statistics.under() != all.statistics.under())
            throw invalid_argument(
                fmt::format("{} was made under another model than {}: expected the same one", parts[i], parts.front()));
        if (!all.column_names.empty() && !next.column_names.empty() && next.column_names != all.column_names)
            throw invalid_argument(fmt::format("{} is of the columns {}: expected those of {}, {}", parts[i],
                                               joined(next.column_names, ", "), parts.front(),
                                               joined(all.column_names, ", ")));
        all.statistics.merge(next.statistics);
        if (all.column_names.empty())
            all.column_names = next.column_names;
    }
    return all;
}

exit_status run(const maximize_command& command, const std::string& command_line) {
    check_model_path(command.model_path);
    check_files({.inputs = command.parts, .outputs = {command.model_path, command.output.json}});
    const gmm::saved_statistics all = merged(command.parts);
    const gmm::statistics& s = all.statistics;
    const gmm::model made = gmm::maximize(s, command.fit.parsed());
    if (!command.model_path.empty())
        writing([&] { gmm::save(made, command.model_path, all.column_names); });

    const double log_likelihood = s.total_log_likelihood() / s.total_weight();
    json summary{{"command", command_line},
                 {"version", version},
                 {"parts", command.parts},
                 {"samples", s.samples()},
                 {"total_weight", s.total_weight()},
                 {"log_likelihood", log_likelihood},
                 {"entropy", s.total_entropy() / s.total_weight()},
                 {"dimensions", made.dimensions()},
                 {"components", made.components()},
                 {"family", to_string(made.shape())},
                 {"column_names", all.column_names}};
    add_parameters(summary, made);
    write_json(command.output, summary);
    print_results(command.output,
                  fmt::format("{} samples, log-likelihood of the model before {:.6f} nats per sample\n\n{}\n\n{}",
                              s.samples(), log_likelihood, describe(made), component_text(made, all.column_names)));
    return exit_status::success;
}

} // namespace

void add_mixture_maximize(parser& mixture, invocation& call) {
    parser* app = mixture.add_subcommand("maximize", "M-step: the model of statistics that parts of the data gave");
    const auto command = std::make_shared<maximize_command>();
    app->add_option("PART", command->parts, "Files that elbo mixture accumulate wrote")->required();
    add_regularization_options(*app, command->fit.fit);
    add_collapse_option(*app, command->fit.on_collapse);
    add_model_output_option(*app, command->model_path);
    add_output_options(*app, command->output);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
