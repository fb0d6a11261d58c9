#include "host/cli/core/apply_command.hpp"
#include "host/cli/core/fit_notes.hpp"
#include "host/cli/core/interrupt.hpp"
#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/error.hpp"
#include "elbo/gmm/evidence.hpp"

#include <fmt/format.h>
#include <memory>

namespace elbo::cli {

namespace {

struct evidence_command {
    apply_options apply;
    std::string other_path;
    std::string responsibility_path;

    std::string q() const {
        return !other_path.empty()            ? "posterior of " + other_path
               : !responsibility_path.empty() ? responsibility_path
                                              : "posterior of the model";
    }
};

gmm::evidence_terms terms_of(const evidence_command& command, const applied& work) {
    const weighted_data& input = work.input;
    if (!command.other_path.empty())
        return gmm::evidence(work.ctx, work.model, input.data,
                             load_in_order(command.other_path, work.columns, command.apply.data.by_position),
                             input.view(), input.known());
    if (command.responsibility_path.empty())
        return gmm::evidence(work.ctx, work.model, input.data, input.view(), input.known());
    const data_source file = data_source::file(command.responsibility_path);
    const std::vector<double> q = evenly_spaced_rows(file, file.rows()); // all of them
    const matrix_view<const double> view(q.data(), file.rows(), file.cols());
    try {
        return gmm::evidence(work.ctx, work.model, input.data, view, input.view(), input.known());
    } catch (const invalid_argument& wrong) {
        throw invalid_argument(fmt::format("--responsibilities {}: {}", command.responsibility_path, wrong.what()));
    }
}

std::vector<std::pair<std::string, std::string>> facts(const gmm::evidence_terms& t, const evidence_command& command) {
    const auto nats = [](double value) { return fmt::format("{:.9f} nats per sample", value); };
    return {{"samples", std::to_string(t.samples)},
            {"q", command.q()},
            {"E_q[log p(x, z)]", nats(t.expected_log_joint)},
            {"entropy of q", nats(t.entropy)},
            {"bound, their sum", nats(t.elbo)},
            {"log-likelihood", nats(t.log_likelihood)},
            {"KL(q || posterior)", nats(t.kl)},
            {"bound, their difference", nats(t.elbo_from_gap)}};
}

exit_status run(const evidence_command& command, const std::string& command_line) {
    const apply_options& options = command.apply;
    check_files({.inputs = files_of(options, {command.other_path, command.responsibility_path}),
                 .outputs = {options.output.json, options.output.report}});
    const interrupt_guard guard;
    const applied work = open(options);
    const gmm::evidence_terms t = terms_of(command, work);
    throw_if_interrupted();
    json summary = summary_head(command_line, options, work);
    summary["q"] = command.q();
    summary["expected_log_joint"] = t.expected_log_joint;
    summary["entropy"] = t.entropy;
    summary["elbo"] = t.elbo;
    summary["log_likelihood"] = t.log_likelihood;
    summary["kl"] = t.kl;
    summary["elbo_from_gap"] = t.elbo_from_gap;
    summary["total_weight"] = t.total_weight;
    tell_negligible(options.output, t.negligible, summary);
    write_json(options.output, summary);
    write_report(options, work, command_line, facts(t, command));
    print_results(options.output, fmt::format("{} ({}) on {}\n\n", options.model_path, describe(work.model),
                                              work.input.data.description()) +
                                      text_list(facts(t, command)));
    return exit_status::success;
}

} // namespace

void add_mixture_evidence(parser& mixture, invocation& call) {
    parser* app =
        mixture.add_subcommand("evidence", "The evidence lower bound of a model on data, term by term, for any q");
    const auto command = std::make_shared<evidence_command>();
    add_apply_options(*app, command->apply);
    add_weights_option(*app, command->apply.data);
    add_known_labels_option(*app, command->apply.data);
    auto* other =
        app->add_option("--posterior", command->other_path, "Take the posterior of this model for q (default: its own)")
            ->type_name("MODEL")
            ->group("Bound");
    app->add_option("--responsibilities", command->responsibility_path,
                    "Take these numbers for q: a row for each sample, a column for each component")
        ->type_name("FILE")
        ->group("Bound")
        ->excludes(other);
    app->callback([command, &call] { call.run = [command, &call] { return run(*command, call.command_line); }; });
}

} // namespace elbo::cli
