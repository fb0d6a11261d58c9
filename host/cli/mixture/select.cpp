#include "host/cli/mixture/model.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/select/folds.hpp"

#include <cmath>

namespace elbo::cli {
namespace {

// "3", "1:10" or "2:20:2", ends included.
void append_range(std::vector<std::int64_t>& numbers, const std::string& text) {
    constexpr std::int64_t most = 10000;
    std::vector<std::int64_t> parts;
    for (const std::string& part : split(text, ':'))
        parts.push_back(number_of<std::int64_t>(part).value_or(0));
    const std::int64_t first = parts[0], last = parts.size() > 1 ? parts[1] : first;
    const std::int64_t step = parts.size() > 2 ? parts[2] : 1;
    if (parts.size() > 3 || first < 1 || step < 1 || last < first || (last - first) / step >= most)
        throw invalid_argument(fmt::format(
            "--components {}: expected K, FIRST:LAST or FIRST:LAST:STEP of numbers from 1 on, at most {}", text, most));
    for (std::int64_t k = first; k <= last; k += step)
        numbers.push_back(k);
}

std::string components_text(const gmm::select_cell& cell) {
    return cell.components_left == cell.components || !cell.fitted
               ? std::to_string(cell.components)
               : fmt::format("{} ({} left)", cell.components, cell.components_left);
}

std::vector<std::string> table_row(const gmm::select_cell& cell, bool chosen, bool held_out) {
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
        const gmm::select_cell& cell = result.table[static_cast<std::size_t>(i)];
        rows.push_back(table_row(cell, i == result.chosen, held_out));
        if (!cell.error.empty())
            failures += fmt::format("  {} K = {}: {}\n", to_string(cell.shape), cell.components, cell.error);
    }
    return text_table(rows) + (failures.empty() ? "" : "\n" + failures);
}

/// Numbers that are none become null.
json cell_json(const gmm::select_cell& cell) {
    const auto of_fit = [&](json value) { return cell.fitted ? value : json(); };
    return {{"family", to_string(cell.shape)},
            {"components", cell.components},
            {"components_left", of_fit(cell.components_left)},
            {"parameters", of_fit(cell.parameters)},
            {"log_likelihood", of_fit(cell.log_likelihood)},
            {"total_log_likelihood", of_fit(cell.total_log_likelihood)},
            {"bic", of_fit(cell.bic)},
            {"aic", of_fit(cell.aic)},
            {"icl", of_fit(cell.icl)},
            {"held_out", of_fit(cell.held_out)},
            {"held_out_standard_error", of_fit(cell.held_out_error)},
            {"iterations", of_fit(cell.iterations)},
            {"stopped", of_fit(to_string(cell.stopped))},
            {"events", cell.events.size()},
            {"seconds", cell.seconds},
            {"error", cell.error.empty() ? json() : json(cell.error)}};
}

struct select_fit : fit_inputs {
    using options = gmm::select_options;
    using result = gmm::select_result;

    prior_arguments prior;
    options typed;
    std::vector<std::string> components{"1:9"};
    std::vector<std::string> families{"full"};
    std::string start = "automatic";
    std::vector<option> fraction, folds; ///< each of one criterion

    void add_options(parser& app) {
        add_data_options(app, data);
        app.add_option(weights_option, data.weights);
        app.add_option(known_labels_option, data.labels);
        add_model_options(app);
        add_choice_options(app);
        app.add_option("--start", start, "Start: automatic, kmeans, kmeans++, random or samples", "METHOD", "Fit");
        add_iteration_options(app, typed.fit);
        prior.add_options(app);
        add_checkpoints(app);
        add_device_options(app, device);
        add_field(app, "--jobs", typed, &options::jobs, "N", "Device");
        app.add_option(model_output_option, model_path);
        add_output_options(app, output);
        app.add_option(report_option, output.report);
        app.footer("Example: elbo mixture select faithful.csv -k 1:6 --families full,tied -o model.safetensors");
    }

    void add_model_options(parser& app) {
        app.add_option("-k,--components", components, help_of(&options::components), "K,...", "Models");
        app.add_option("--families", families, help_of(&options::families), "FAMILY,...", "Models");
        add_regularization_options(app, typed.fit);
    }

    void add_choice_options(parser& app) {
        add_field(app, "--criterion", typed, &options::by, "NAME", "Choice");
        fraction = {add_field(app, "--validation-fraction", typed, &options::validation_fraction, "F", "Choice")};
        folds = {add_field(app, "--folds", typed, &options::folds, "N", "Choice")};
        add_field(app, "--one-standard-error", typed, &options::one_standard_error, "", "Choice");
    }

    command_files files() const { return files_with({}, {}); }

    gmm::select_options prepare(model_columns& /*start_columns*/) const {
        options o = typed;
        o.fit.prior = prior.parsed();
        o.fit.start = gmm::start_method_from_string(start);
        o.components.clear();
        for (const std::string& text : components)
            append_range(o.components, text);
        o.families.clear();
        for (const std::string& name : families)
            o.families.push_back(gmm::family_from_string(name));
        if (o.by != gmm::criterion::validation)
            refuse_given(fraction, "expected --criterion validation beside it");
        if (o.by != gmm::criterion::cross_validation)
            refuse_given(folds, "expected --criterion cross-validation beside it");
        return o;
    }

    void take(const input_data& rows, options& o) const {
        o.fit.weights = rows.view();
        o.fit.labels = rows.known();
    }

    void announce(const context& ctx, const input_data& rows, const options& o) const {
        fit_inputs::announce(
            ctx, rows,
            fmt::format("; {} models, chosen by {}", o.components.size() * o.families.size(), to_string(o.by)));
    }

    result fit(const context& ctx, const input_data& rows, const options& o) const {
        return gmm::select(ctx, rows.data, o);
    }

    void save(const fitted<select_fit>& work) const {
        write_model(work.fit.best.model, model_path, work.column_names());
    }

    findings found(const fitted<select_fit>& work) const {
        const result& choice = work.fit;
        const options& o = work.options;
        const gmm::fit_result& best = choice.best;
        const gmm::select_cell& chosen = choice.table[static_cast<std::size_t>(choice.chosen)];
        const bool by_folds = o.by == gmm::criterion::cross_validation,
                   by_fraction = o.by == gmm::criterion::validation;
        json table = json::array();
        for (const gmm::select_cell& cell : choice.table)
            table.push_back(cell_json(cell));
        findings found(work.command_line, work.ctx);
        found.summary.update({{"samples", best.samples},
                              {"dimensions", best.model.dimensions()},
                              {"criterion", to_string(o.by)},
                              {"folds", by_folds ? json(gmm::held_out_rows::folds_of(o.folds, best.samples)) : json()},
                              {"validation_fraction", by_fraction ? json(o.validation_fraction) : json()},
                              {"one_standard_error", o.one_standard_error},
                              {"seed", o.fit.seed},
                              {"restarts", o.fit.restarts},
                              {"jobs", choice.jobs},
                              {"streamed", choice.streamed},
                              {"stopped", choice.interrupted ? "interrupted" : "finished"},
                              {"table", table},
                              {"chosen", choice.chosen},
                              {"reason", choice.reason},
                              {"seconds", choice.seconds},
                              {"components", best.model.components()},
                              {"family", to_string(best.model.shape())}});
        found.tell("chosen", describe(best.model));
        found.tell("criterion", std::string(to_string(choice.by)));
        found.tell("models", std::to_string(choice.table.size()));
        found.tell("samples", std::to_string(best.samples));
        found.add(best, &gmm::fit_result::log_likelihood);
        found.add("total_log_likelihood", best.total_log_likelihood);
        found.add("parameters", "parameters", best.model.parameters());
        found.add(best, &gmm::fit_result::bic);
        found.add("aic", best.aic);
        found.add("icl", best.icl);
        found.add("held_out", chosen.held_out);
        found.add("held_out_standard_error", chosen.held_out_error);
        found.tell("time", duration_text(choice.seconds));
        if (!std::isnan(chosen.held_out))
            found.tell("held out",
                       fmt::format("{:.4f} ± {:.4f} nats per sample", chosen.held_out, chosen.held_out_error));
        if (choice.interrupted)
            found.tell("sweep", "interrupted");
        add_parameters(found.summary, best.model);
        add_negligible(found, output, best.negligible);
        return found;
    }

    std::string text(const fitted<select_fit>& work, const fact_list& /*facts*/) const {
        const result& choice = work.fit;
        return fmt::format("Gaussian mixtures of {}: {} models, {} samples, on {}{}\n\n", work.data().description(),
                           choice.table.size(), choice.best.samples, work.ctx.name(),
                           choice.jobs > 1 ? fmt::format(", up to {} fits side by side", choice.jobs) : "") +
               table_text(choice) +
               fmt::format("\nchosen{}: {}\nin {}{}\n\n", choice.interrupted ? " (interrupted)" : "", choice.reason,
                           duration_text(choice.seconds), choice.streamed ? ", rows streamed in every pass" : "") +
               component_text(choice.best.model, work.column_names());
    }
};

} // namespace

void add_mixture_select(parser& mixture, invocation& call) {
    add_command<fit_command<select_fit>>(mixture, call, "select", "Choose the number of components and the family");
}

} // namespace elbo::cli
