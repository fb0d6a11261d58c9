#include "host/cli/mixture/model.hpp"

#include <cmath>

namespace elbo::cli {
namespace {

struct variational_fit : fit_inputs {
    using options = gmm::variational_options;
    using result = gmm::variational_result;

    model_arguments model;
    options typed;
    double threshold = 1;
    bool drop_empty = false;
    std::string posterior_path; ///< beside that of the mixture at the posterior means

    void add_options(parser& app) {
        add_inputs(app);
        app.add_option(weights_option, data.weights);
        app.add_option(known_labels_option, data.labels);
        model.add_model_options<options>(app);
        add_prior_options(app);
        model.add_start_option(app);
        add_loop_options(app, typed);
        add_precision_option(app, typed.precision);
        add_checkpoints(app);
        add_device_options(app, device);
        add_result_options(app);
        add_output_options(app, output);
        app.add_option(report_option, output.report);
        app.footer("Example: elbo mixture variational faithful.csv --columns eruptions,waiting -k 10 -o "
                   "posterior.safetensors");
    }

    void add_prior_options(parser& app) {
        using s = gmm::variational_prior;
        add_field(app, "--weights-model", typed, &options::weights_prior, "NAME", "Prior");
        add_field(app, "--prior-concentration,--concentration", typed.prior, &s::concentration, "A", "Prior");
        add_field(app, "--prior-mean", typed.prior, &s::mean, "M,...", "Prior");
        add_field(app, "--prior-mean-precision", typed.prior, &s::mean_precision, "B", "Prior");
        add_field(app, "--prior-degrees-of-freedom", typed.prior, &s::degrees_of_freedom, "V", "Prior");
        add_field(app, "--prior-scale", typed.prior, &s::scale, "S,...", "Prior");
    }

    void add_result_options(parser& app) {
        app.add_option("--threshold", threshold, "Components with more samples than this count as effective", "N",
                       "Output");
        app.add_flag("--drop-empty", drop_empty, "Write effective components alone", "Output");
        app.add_option("-o,--output", posterior_path, "Write the posterior (.safetensors or .json)", "FILE", "Output");
        app.add_option("--model-output", model_path, "Write the mixture at the posterior means, as of fit", "MODEL",
                       "Output");
    }

    command_files files() const {
        check_model_path(posterior_path);
        return files_with({start_file(model.start)}, {posterior_path});
    }

    options prepare(model_columns& start) const {
        if (!(threshold >= 0 && std::isfinite(threshold)))
            throw invalid_argument(
                fmt::format("--threshold {}: expected a finite number of samples, at least 0", threshold));
        options o = typed;
        start = model.set(o);
        return o;
    }

    result fit(const context& ctx, const input_data& rows, const options& o) const {
        return gmm::fit_variational(ctx, rows.data, o);
    }

    /// The posterior that is written.
    gmm::variational_posterior kept(const result& fit) const {
        return drop_empty ? fit.posterior.without_empty(threshold) : fit.posterior;
    }
    gmm::model mixture_of(const result& fit) const {
        return kept(fit).model().with_regularization(fit.model.regularization(), fit.model.regularization_variances());
    }

    void save(const fitted<variational_fit>& work) const {
        write_model(kept(work.fit), posterior_path, work.column_names());
        write_model(mixture_of(work.fit), model_path, work.column_names());
    }

    findings found(const fitted<variational_fit>& work) const {
        const result& fit = work.fit;
        const gmm::variational_record& last = fit.trace.back();
        const gmm::variational_prior& prior = fit.posterior.values().prior;
        const std::string_view weights = to_string(fit.posterior.values().weights);
        const std::vector<std::int64_t> effective = fit.posterior.effective_components(threshold);
        findings found(work.command_line, work.ctx);
        found.add("samples", fit.samples);
        add_shape(found.summary, fit.model);
        found.add("weights_model", weights);
        add_stopping(found, fit.stopped, fit.iterations);
        add_start(found, name_of_start(fit.best_start), fit.best_restart);
        found.tell("effective components", fmt::format("{} of {} (more than {} samples)", effective.size(),
                                                       fit.posterior.components(), threshold));
        found.add(fit, &result::bound, &result::total_bound);
        found.tell("bound on log p(x)",
                   fmt::format("{:.6f} nats per sample ({:.6f} in all)", fit.bound, fit.total_bound));
        constexpr const char* nats = "{:.6f} nats per sample";
        found.add("expected_log_likelihood", "expected log-likelihood", last.expected_log_likelihood, nats);
        found.add("weights_divergence", "divergence of the weights", last.weights_divergence, nats);
        found.add("components_divergence", "divergence of the components", last.components_divergence, nats);
        found.add("entropy", "entropy of q(z)", fit.entropy, nats);
        found.add("threshold", threshold);
        found.add("effective_components", effective);
        found.add("counts", fit.posterior.counts());
        found.add("prior", io::json_of(prior));
        found.tell("prior of the weights", fmt::format("{}, concentration {:.6g}", weights, *prior.concentration));
        found.tell("prior of the components", fmt::format("{:.6g} samples for the mean, {:.6g} degrees of freedom",
                                                          prior.mean_precision, *prior.degrees_of_freedom));
        add_seconds(found, fit.seconds);
        found.add("trace", io::json_of(fit.trace));
        add_events(found, fit.events, work.column_names(), [](const gmm::event&) { return json(); }); // far values
        if (!work.input.labels.empty())
            found.add("labelled", work.input.labelled());
        add_parameters(found.summary, fit.model);
        add_negligible(found, output, fit.negligible);
        note_identical(output, fit.events);
        return found;
    }

    std::string page(const fitted<variational_fit>& work, report::heading about) const {
        const result& fit = work.fit;
        about.facts.insert(about.facts.begin(), {{"samples", std::to_string(fit.samples)},
                                                 {"dimensions", std::to_string(fit.model.dimensions())},
                                                 {"family", std::string(to_string(fit.model.shape()))}});
        return report::page(work.ctx, fit, work.data(), about, threshold);
    }

    std::string text(const fitted<variational_fit>& work, const fact_list& facts) const {
        return fit_text("Variational mixture of " + work.data().description(), describe(work.fit.model),
                        fmt::format("{} samples", work.fit.samples), work.ctx, facts,
                        component_text(mixture_of(work.fit), work.column_names()));
    }
};

} // namespace

void add_mixture_variational(parser& mixture, invocation& call) {
    add_command<fit_command<variational_fit>>(mixture, call, "variational", "Fit a mixture by variational Bayes");
}

} // namespace elbo::cli
