#include "host/cli/mixture/summary/select_summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/version.hpp"
#include "host/gmm/select/folds.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

using gmm::select_cell;
using io::json;

std::string components_text(const select_cell& cell) {
    return cell.components_left == cell.components || !cell.fitted
               ? std::to_string(cell.components)
               : fmt::format("{} ({} left)", cell.components, cell.components_left);
}

std::vector<std::string> table_row(const select_cell& cell, bool chosen, bool held_out) {
    std::vector<std::string> row{chosen ? "*" : "", std::string(to_string(cell.shape)), components_text(cell)};
    if (!cell.fitted) {
        row.push_back("failed");
        return row;
    }
    row.insert(row.end(),
               {std::to_string(cell.parameters), fmt::format("{:.4f}", cell.total_log_likelihood),
                fmt::format("{:.2f}", cell.bic), fmt::format("{:.2f}", cell.aic), fmt::format("{:.2f}", cell.icl)});
    if (held_out)
        row.push_back(std::isnan(cell.held_out) ? "failed"
                                                : fmt::format("{:.4f} ± {:.4f}", cell.held_out, cell.held_out_error));
    row.insert(row.end(),
               {std::to_string(cell.iterations), std::string(to_string(cell.stopped)), duration_text(cell.seconds)});
    return row;
}

std::string table_text(const gmm::select_result& result) {
    const bool held_out = is_held_out(result.by);
    std::vector<std::string> head{"", "family", "K", "parameters", "log-likelihood", "BIC", "AIC", "ICL"};
    if (held_out)
        head.push_back("held out");
    head.insert(head.end(), {"iterations", "stopped", "time"});
    std::vector<std::vector<std::string>> rows{head};
    std::string failures;
    for (std::int64_t i = 0; i < std::ssize(result.table); ++i) {
        const select_cell& cell = result.table[static_cast<std::size_t>(i)];
        rows.push_back(table_row(cell, i == result.chosen, held_out));
        if (!cell.error.empty())
            failures += fmt::format("  {} K = {}: {}\n", to_string(cell.shape), cell.components, cell.error);
    }
    return text_table(rows) + (failures.empty() ? "" : "\n" + failures);
}

/// A number, or null where there is none.
json number(bool there, double value) {
    return there && std::isfinite(value) ? json(value) : json();
}

json cell_json(const select_cell& cell) {
    json entry{{"family", to_string(cell.shape)}, {"components", cell.components}};
    const bool there = cell.fitted;
    entry["components_left"] = there ? json(cell.components_left) : json();
    entry["parameters"] = there ? json(cell.parameters) : json();
    entry["log_likelihood"] = number(there, cell.log_likelihood);
    entry["total_log_likelihood"] = number(there, cell.total_log_likelihood);
    entry["bic"] = number(there, cell.bic);
    entry["aic"] = number(there, cell.aic);
    entry["icl"] = number(there, cell.icl);
    entry["held_out"] = number(there, cell.held_out);
    entry["held_out_standard_error"] = number(there, cell.held_out_error);
    entry["iterations"] = there ? json(cell.iterations) : json();
    entry["stopped"] = there ? json(to_string(cell.stopped)) : json();
    entry["events"] = cell.events.size();
    entry["seconds"] = cell.seconds;
    entry["error"] = cell.error.empty() ? json() : json(cell.error);
    return entry;
}

json table_json(const gmm::select_result& result) {
    json table = json::array();
    for (const select_cell& cell : result.table)
        table.push_back(cell_json(cell));
    return table;
}

} // namespace

fact_list select_facts(const gmm::select_result& result) {
    const gmm::fit_result& best = result.best;
    fact_list facts{{"chosen", describe(best.model)},
                    {"criterion", std::string(to_string(result.by))},
                    {"models", std::to_string(result.table.size())},
                    {"samples", std::to_string(best.samples)},
                    {"log-likelihood", fmt::format("{:.6f} nats per sample", best.log_likelihood)},
                    {"parameters", std::to_string(best.model.parameters())},
                    {"BIC", fmt::format("{:.4f}", best.bic)},
                    {"time", duration_text(result.seconds)}};
    const select_cell& chosen = result.table[static_cast<std::size_t>(result.chosen)];
    if (!std::isnan(chosen.held_out))
        facts.emplace_back("held out",
                           fmt::format("{:.4f} ± {:.4f} nats per sample", chosen.held_out, chosen.held_out_error));
    if (result.interrupted)
        facts.emplace_back("sweep", "interrupted");
    return facts;
}

std::string select_text(const gmm::select_result& result, const fit_setting& setting) {
    return fmt::format("Gaussian mixtures of {}: {} models, {} samples, on {}{}\n\n", setting.data, result.table.size(),
                       result.best.samples, setting.device,
                       result.jobs > 1 ? fmt::format(", up to {} fits side by side", result.jobs) : "") +
           table_text(result) +
           fmt::format("\nchosen{}: {}\nin {}{}\n\n", result.interrupted ? " (interrupted)" : "", result.reason,
                       duration_text(result.seconds), result.streamed ? ", rows streamed in every pass" : "") +
           component_text(result.best.model, setting.column_names);
}

json select_json(const gmm::select_result& result, const gmm::select_options& options, const fit_setting& setting) {
    const gmm::fit_result& best = result.best;
    const select_cell& chosen = result.table[static_cast<std::size_t>(result.chosen)];
    const bool folds = options.by == gmm::criterion::cross_validation;
    const bool fraction = options.by == gmm::criterion::validation;
    json summary{{"command", setting.command},
                 {"version", version},
                 {"device", setting.device},
                 {"samples", best.samples},
                 {"dimensions", best.model.dimensions()},
                 {"criterion", to_string(options.by)},
                 {"folds", folds ? json(gmm::held_out_rows::folds_of(options.folds, best.samples)) : json()},
                 {"validation_fraction", fraction ? json(options.validation_fraction) : json()},
                 {"one_standard_error", options.one_standard_error},
                 {"seed", options.fit.seed},
                 {"restarts", options.fit.restarts},
                 {"jobs", result.jobs},
                 {"streamed", result.streamed},
                 {"stopped", result.interrupted ? "interrupted" : "finished"},
                 {"table", table_json(result)},
                 {"chosen", result.chosen},
                 {"reason", result.reason},
                 {"seconds", result.seconds},
                 {"components", best.model.components()},
                 {"family", to_string(best.model.shape())},
                 {"log_likelihood", best.log_likelihood},
                 {"total_log_likelihood", best.total_log_likelihood},
                 {"parameters", best.model.parameters()},
                 {"bic", best.bic},
                 {"aic", best.aic},
                 {"icl", best.icl},
                 {"held_out", number(true, chosen.held_out)},
                 {"held_out_standard_error", number(true, chosen.held_out_error)}};
    add_parameters(summary, best.model);
    return summary;
}

} // namespace elbo::cli
