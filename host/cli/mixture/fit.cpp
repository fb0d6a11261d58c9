#include "host/cli/mixture/model.hpp"

namespace elbo::cli {
namespace {

// Of the start that was kept: fit.seconds.iterations counts those of all starts.
double seconds_per_iteration(const gmm::fit_result& fit) {
    return fit.trace.empty() ? 0 : fit.trace.back().seconds / static_cast<double>(fit.trace.size());
}

/// Whether something was done to the component.
bool happened(const gmm::event& e) {
    return e.what == gmm::event::kind::empty || e.what == gmm::event::kind::singular;
}

json event_json(const gmm::event& e) {
    json entry{{"iteration", e.iteration}, {"component", e.component}, {"event", to_string(e.what)}};
    if (happened(e))
        entry["action"] = to_string(e.action);
    return entry;
}

struct mixture_fit : fit_inputs {
    using options = gmm::fit_options;
    using result = gmm::fit_result;

    model_arguments model;
    options typed;
    prior_arguments prior;
    bool no_backtracking = false;
    std::vector<option> ascent; ///< options of ascent steps

    void add_options(parser& app) {
        add_inputs(app);
        app.add_option(weights_option, data.weights);
        app.add_option(known_labels_option, data.labels);
        model.add_model_options<options>(app);
        add_regularization_options(app, typed);
        model.add_start_option(app);
        add_iteration_options(app, typed);
        add_field(app, "--memory-limit", typed, &options::memory_limit, "BYTES", "Fit");
        add_field(app, "--m-step", typed, &options::m_step, "METHOD", "Fit");
        ascent = {add_field(app, "--rate", typed.gradient, &gmm::gradient_steps::rate, "R", "Fit"),
                  add_field(app, "--steps", typed.gradient, &gmm::gradient_steps::steps, "N", "Fit"),
                  app.add_flag("--no-backtracking", no_backtracking,
                               "Take ascent steps of this rate, even if the bound falls", "Fit")};
        prior.add_options(app);
        add_checkpoints(app);
        add_outputs(app);
        app.footer("Example: elbo mixture fit faithful.csv --columns eruptions,waiting -k 2 -o model.safetensors");
    }

    command_files files() const { return files_with({start_file(model.start)}, {}); }

    options prepare(model_columns& start) const {
        options o = typed;
        o.prior = prior.parsed();
        start = model.set(o);
        if (o.m_step != gmm::m_step_method::gradient)
            refuse_given(ascent, "expected --m-step gradient beside it");
        o.gradient.backtracking = !no_backtracking;
        return o;
    }

    input_data open(const model_columns& start) const {
        fit_inputs limited = *this;
        limited.data.memory_limit = typed.memory_limit;
        return limited.open(start);
    }

    void take(const input_data& rows, options& o) const {
        if (o.memory_limit > 0)
            o.memory_limit = std::max<std::int64_t>(1, o.memory_limit - rows.data.kept_bytes());
    }

    void announce(const context& ctx, const input_data& rows, const options& o) const {
        if (!output.quiet)
            fit_inputs::announce(ctx, rows, "; memory " + gmm::plan_memory(ctx, rows.data, o).to_string());
    }

    result fit(const context& ctx, const input_data& rows, const options& o) const {
        return gmm::fit(ctx, rows.data, o);
    }

    findings found(const fitted<mixture_fit>& work) const {
        const result& fit = work.fit;
        findings found(work.command_line, work.ctx);
        found.add("samples", fit.samples);
        add_shape(found.summary, fit.model);
        add_stopping(found, fit.stopped, fit.iterations);
        add_start(found, name_of_start(fit.best_start), fit.best_restart);
        add_likelihoods(found, fit, fit.model.parameters());
        found.add(fit, &result::icl);
        found.tell(fit, &result::entropy);
        if (!fit.trace.empty() && fit.trace.back().log_prior != 0)
            found.tell("log prior", fmt::format("{:.6f} nats per sample", fit.trace.back().log_prior));
        add_seconds(found, fit.seconds);
        found.add("seconds_per_iteration", seconds_per_iteration(fit));
        found.tell("time per iteration", duration_text(seconds_per_iteration(fit)));
        found.add("trace", io::json_of(fit.trace));
        if (const auto count = std::ranges::count_if(fit.events, happened); count > 0)
            found.tell("events", fmt::format("{} (components that were empty or singular)", count));
        add_events(found, fit.events, work.column_names(), event_json);
        if (!work.input.labels.empty())
            found.add("labelled", work.input.labelled());
        add_parameters(found.summary, fit.model);
        add_negligible(found, output, fit.negligible);
        note_identical(output, fit.events);
        return found;
    }

    std::string page(const fitted<mixture_fit>& work, report::heading about) const {
        const gmm::model& m = work.fit.model;
        about.facts.insert(about.facts.begin(), {{"samples", std::to_string(work.fit.samples)},
                                                 {"dimensions", std::to_string(m.dimensions())},
                                                 {"components", std::to_string(m.components())},
                                                 {"family", std::string(to_string(m.shape()))}});
        return fit_inputs::page(work, about);
    }

    std::string text(const fitted<mixture_fit>& work, const fact_list& facts) const {
        const input_data& rows = work.input;
        const std::string labelled = rows.labels.empty() ? "" : fmt::format(" ({} labelled)", rows.labelled());
        return fit_text("Gaussian mixture of " + rows.data.description(), describe(work.fit.model),
                        fmt::format("{} samples{}", work.fit.samples, labelled), work.ctx, facts,
                        component_text(work.fit.model, work.column_names()));
    }
};

} // namespace

void add_mixture_fit(parser& mixture, invocation& call) {
    add_command<fit_command<mixture_fit>>(mixture, call, "fit", "Fit a Gaussian mixture to data by EM");
}

} // namespace elbo::cli
