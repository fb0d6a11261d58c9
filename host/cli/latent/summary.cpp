#include "host/cli/latent/summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/joined.hpp"

#include "elbo/version.hpp"

#include <fmt/format.h>
#include <map>

namespace elbo::cli {

namespace {

template <class Result>
latent_fit_summary common_part(const Result& fit) {
    return {fit.model,   fit.trace,      fit.stopped,    json::array(),      {},
            fit.seconds, fit.iterations, fit.samples,    fit.log_likelihood, fit.total_log_likelihood,
            fit.bic,     fit.aic,        fit.negligible, fit.best_restart};
}

} // namespace

latent_fit_summary summarize(const latent::factor_result& fit) {
    latent_fit_summary summary = common_part(fit);
    summary.best_start = fit.best_start;
    for (const latent::factor_event& e : fit.events) {
        if (e.what == latent::factor_event::kind::far_value) {
            summary.events.push_back(far_values_json(e.far));
            summary.far.push_back(e.far);
            continue;
        }
        json entry{{"iteration", e.iteration}, {"component", e.component}, {"event", to_string(e.what)}};
        if (e.what == latent::factor_event::kind::empty)
            entry["action"] = to_string(e.action);
        if (e.what == latent::factor_event::kind::noise_floor)
            entry["column"] = e.column;
        summary.events.push_back(std::move(entry));
    }
    return summary;
}

latent_fit_summary summarize(const latent::sphere_result& fit) {
    latent_fit_summary summary = common_part(fit);
    for (const latent::sphere_event& e : fit.events) {
        const bool far = e.what == latent::sphere_event::kind::far_value;
        summary.events.push_back(far ? far_values_json(e.far)
                                     : json{{"iteration", e.iteration}, {"event", to_string(e.what)}});
        if (far)
            summary.far.push_back(e.far);
    }
    return summary;
}

fact_list latent_fit_facts(const latent_fit_summary& fit, const std::vector<std::string>& column_names) {
    const gmm::fit_seconds& s = fit.seconds;
    fact_list facts{{"fit", stopping_text(fit.stopped, fit.iterations)},
                    {"log-likelihood", fmt::format("{:.6f} nats per sample", fit.log_likelihood)},
                    {"total log-likelihood", fmt::format("{:.6f}", fit.total_log_likelihood)},
                    {"parameters", std::to_string(parameters_of(fit.model))},
                    {"BIC", fmt::format("{:.4f}", fit.bic)},
                    {"AIC", fmt::format("{:.4f}", fit.aic)},
                    {"time", fmt::format("{} (load {}, start {}, iterations {})", duration_text(s.total),
                                         duration_text(s.load), duration_text(s.start), duration_text(s.iterations))}};
    if (fit.best_start)
        facts.emplace(facts.begin() + 1, "start", start_text(name_of_start(fit.best_start), fit.best_restart));
    std::map<std::string, std::int64_t> counts; // there may be one for every column
    for (const json& e : fit.events)
        if (e["event"].as_string() != to_string(gmm::event::kind::far_value))
            ++counts[e["event"].as_string()];
    std::vector<std::string> texts;
    for (const auto& [what, count] : counts)
        texts.push_back(fmt::format("{} {}", count, what));
    if (!texts.empty())
        facts.emplace_back("events", joined(texts, ", "));
    add_far_facts(facts, fit.far, column_names);
    return facts;
}

std::string latent_fit_text(const latent_fit_summary& fit, const fit_setting& setting) {
    return fmt::format("{}: {}, {} samples, on {}\n\n", setting.data, describe(fit.model), fit.samples,
                       setting.device) +
           text_list(latent_fit_facts(fit, setting.column_names)) + "\n" +
           parameter_text(fit.model, setting.column_names);
}

json latent_fit_json(const latent_fit_summary& fit, const fit_setting& setting) {
    json summary{
        {"command", setting.command}, {"version", version}, {"device", setting.device}, {"samples", fit.samples}};
    add_shape(summary, fit.model);
    summary["iterations"] = fit.iterations;
    summary["stopped"] = to_string(fit.stopped);
    summary["start"] = start_json(name_of_start(fit.best_start));
    summary["best_restart"] = fit.best_restart;
    summary["log_likelihood"] = fit.log_likelihood;
    summary["total_log_likelihood"] = fit.total_log_likelihood;
    summary["parameters"] = parameters_of(fit.model);
    summary["bic"] = fit.bic;
    summary["aic"] = fit.aic;
    summary["seconds"] = seconds_json(fit.seconds);
    summary["trace"] = trace_json(fit.trace);
    summary["events"] = fit.events;
    add_parameters(summary, fit.model);
    return summary;
}

} // namespace elbo::cli
