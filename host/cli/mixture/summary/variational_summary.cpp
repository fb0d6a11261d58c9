#include "host/cli/mixture/summary/variational_summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/version.hpp"

#include <fmt/format.h>

namespace elbo::cli {

namespace {

using io::json;

std::string nats(double value) {
    return fmt::format("{:.6f} nats per sample", value);
}

json prior_json(const gmm::variational_prior& prior) {
    return {{"concentration", *prior.concentration},
            {"mean", *prior.mean},
            {"mean_precision", prior.mean_precision},
            {"degrees_of_freedom", *prior.degrees_of_freedom},
            {"scale", *prior.scale}};
}

json variational_trace_json(const gmm::variational_result& fit) {
    json trace = json::array();
    for (const gmm::variational_record& record : fit.trace)
        trace.push_back({{"iteration", record.iteration},
                         {"bound", record.bound},
                         {"expected_log_likelihood", record.expected_log_likelihood},
                         {"weights_divergence", record.weights_divergence},
                         {"components_divergence", record.components_divergence},
                         {"bound_after_m_step", record.bound_after_m_step},
                         {"entropy", record.entropy},
                         {"parameter_change", record.parameter_change},
                         {"seconds", record.seconds}});
    return trace;
}

} // namespace

fact_list variational_facts(const gmm::variational_result& fit, double threshold,
                            const std::vector<std::string>& column_names) {
    const gmm::variational_record& last = fit.trace.back();
    const gmm::variational_prior& prior = fit.posterior.values().prior;
    const gmm::fit_seconds& s = fit.seconds;
    fact_list facts{
        {"fit", stopping_text(fit.stopped, fit.iterations)},
        {"start", start_text(name_of_start(fit.best_start), fit.best_restart)},
        {"effective components",
         fmt::format("{} of {} (more than {} samples)", fit.posterior.effective_components(threshold).size(),
                     fit.posterior.components(), threshold)},
        {"bound on log p(x)", fmt::format("{} ({:.6f} in all)", nats(fit.bound), fit.total_bound)},
        {"expected log-likelihood", nats(last.expected_log_likelihood)},
        {"divergence of the weights", nats(last.weights_divergence)},
        {"divergence of the components", nats(last.components_divergence)},
        {"entropy of q(z)", nats(fit.entropy)},
        {"prior of the weights",
         fmt::format("{}, concentration {:.6g}", to_string(fit.posterior.values().weights), *prior.concentration)},
        {"prior of the components", fmt::format("{:.6g} samples for the mean, {:.6g} degrees of freedom",
                                                prior.mean_precision, *prior.degrees_of_freedom)},
        {"time", fmt::format("{} (load {}, start {}, iterations {})", duration_text(s.total), duration_text(s.load),
                             duration_text(s.start), duration_text(s.iterations))}};
    add_far_facts(facts, far_values_of(fit.events), column_names);
    return facts;
}

std::string variational_text(const gmm::variational_result& fit, const gmm::model& shown, double threshold,
                             const fit_setting& setting) {
    return fmt::format("Variational mixture of {}: {}, {} samples, on {}\n\n", setting.data, describe(fit.model),
                       fit.samples, setting.device) +
           text_list(variational_facts(fit, threshold, setting.column_names)) + "\n" +
           component_text(shown, setting.column_names);
}

json variational_json(const gmm::variational_result& fit, double threshold, const fit_setting& setting) {
    const gmm::variational_record& last = fit.trace.back();
    json summary{{"command", setting.command},
                 {"version", version},
                 {"device", setting.device},
                 {"samples", fit.samples},
                 {"dimensions", fit.model.dimensions()},
                 {"components", fit.model.components()},
                 {"family", to_string(fit.model.shape())},
                 {"weights_model", to_string(fit.posterior.values().weights)},
                 {"iterations", fit.iterations},
                 {"stopped", to_string(fit.stopped)},
                 {"start", start_json(name_of_start(fit.best_start))},
                 {"best_restart", fit.best_restart},
                 {"bound", fit.bound},
                 {"total_bound", fit.total_bound},
                 {"expected_log_likelihood", last.expected_log_likelihood},
                 {"weights_divergence", last.weights_divergence},
                 {"components_divergence", last.components_divergence},
                 {"entropy", fit.entropy},
                 {"threshold", threshold},
                 {"effective_components", fit.posterior.effective_components(threshold)},
                 {"counts", fit.posterior.counts()},
                 {"prior", prior_json(fit.posterior.values().prior)},
                 {"seconds", seconds_json(fit.seconds)},
                 {"trace", variational_trace_json(fit)}};
    summary["events"] = json::array();
    for (const gmm::far_values& far : far_values_of(fit.events))
        summary["events"].push_back(far_values_json(far));
    if (setting.labelled)
        summary["labelled"] = *setting.labelled;
    add_parameters(summary, fit.model);
    return summary;
}

} // namespace elbo::cli
