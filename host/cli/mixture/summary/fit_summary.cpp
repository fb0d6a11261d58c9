#include "host/cli/mixture/summary/fit_summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/cli/mixture/summary/model_summary.hpp"

#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

using io::json;

// Of the start that was kept: fit.seconds.iterations counts those of all starts.
double seconds_per_iteration(const gmm::fit_result& fit) {
    return fit.trace.empty() ? 0 : fit.trace.back().seconds / static_cast<double>(fit.trace.size());
}

/// Whether something was done to the component.
bool happened(const gmm::event& e) {
    return e.what == gmm::event::kind::empty || e.what == gmm::event::kind::singular;
}

json events_json(const gmm::fit_result& fit) {
    json events = json::array();
    for (const gmm::event& e : fit.events) {
        if (e.what == gmm::event::kind::far_value) {
            events.push_back(far_values_json(e.far));
            continue;
        }
        json entry{{"iteration", e.iteration}, {"component", e.component}, {"event", to_string(e.what)}};
        if (happened(e))
            entry["action"] = to_string(e.action);
        events.push_back(std::move(entry));
    }
    return events;
}

} // namespace

std::string stopping_text(gmm::stop_reason stopped, std::int64_t iterations) {
    switch (stopped) {
    case gmm::stop_reason::converged:
        return fmt::format("converged after {} iterations", iterations);
    case gmm::stop_reason::max_iterations:
        return fmt::format("stopped at the limit of {} iterations", iterations);
    case gmm::stop_reason::interrupted:
        return fmt::format("interrupted after {} iterations", iterations);
    }
    return {};
}

std::string start_text(std::optional<std::string_view> kind, std::int64_t restart) {
    const std::string name(kind.value_or("a model"));
    return restart == 0 ? name : fmt::format("{}, restart {} from 0", name, restart);
}

json start_json(std::optional<std::string_view> kind) {
    return kind ? json(*kind) : json();
}

json trace_json(const std::vector<gmm::iteration_record>& records) {
    json trace = json::array();
    for (const gmm::iteration_record& record : records)
        trace.push_back({{"iteration", record.iteration},
                         {"log_likelihood", record.log_likelihood},
                         {"elbo_after_m_step", record.elbo_after_m_step},
                         {"entropy", record.entropy},
                         {"parameter_change", record.parameter_change},
                         {"seconds", record.seconds},
                         {"log_prior", record.log_prior},
                         {"log_prior_after", record.log_prior_after}});
    return trace;
}

json seconds_json(const gmm::fit_seconds& s) {
    return {{"load", s.load}, {"start", s.start}, {"iterations", s.iterations}, {"total", s.total}};
}

json far_values_json(const gmm::far_values& far) {
    return {{"event", to_string(gmm::event::kind::far_value)},
            {"row", far.row},
            {"column", far.column},
            {"value", far.value},
            {"robust_z", far.robust_z},
            {"rows", far.rows}};
}

std::string far_values_text(const gmm::far_values& far, const std::vector<std::string>& column_names) {
    const std::string name = column_names.empty() ? "" : fmt::format(" ({})", column_names[far.column]);
    const std::string more = far.rows > 1 ? fmt::format("; {} such rows", far.rows) : "";
    return fmt::format("row {}, column {}{}: {:.6g} is {:.3g} robust deviations from the median{}", far.row, far.column,
                       name, far.value, far.robust_z, more);
}

void add_far_facts(fact_list& facts, const std::vector<gmm::far_values>& far,
                   const std::vector<std::string>& column_names) {
    constexpr std::size_t most = 10;
    for (std::size_t i = 0; i < std::min(most, far.size()); ++i)
        facts.emplace_back("far value", far_values_text(far[i], column_names));
    if (far.size() > most)
        facts.emplace_back("far values", fmt::format("in {} more columns", far.size() - most));
}

std::vector<gmm::far_values> far_values_of(const std::vector<gmm::event>& events) {
    std::vector<gmm::far_values> far;
    for (const gmm::event& e : events)
        if (e.what == gmm::event::kind::far_value)
            far.push_back(e.far);
    return far;
}

fact_list fit_facts(const gmm::fit_result& fit, const std::vector<std::string>& column_names) {
    fact_list facts{{"fit", stopping_text(fit.stopped, fit.iterations)},
                    {"start", start_text(name_of_start(fit.best_start), fit.best_restart)},
                    {"log-likelihood", fmt::format("{:.6f} nats per sample", fit.log_likelihood)},
                    {"total log-likelihood", fmt::format("{:.6f}", fit.total_log_likelihood)},
                    {"parameters", std::to_string(fit.model.parameters())},
                    {"BIC", fmt::format("{:.4f}", fit.bic)},
                    {"AIC", fmt::format("{:.4f}", fit.aic)},
                    {"ICL", fmt::format("{:.4f}", fit.icl)},
                    {"entropy of q", fmt::format("{:.6f} nats per sample", fit.entropy)}};
    if (!fit.trace.empty() && fit.trace.back().log_prior != 0)
        facts.emplace_back("log prior", fmt::format("{:.6f} nats per sample", fit.trace.back().log_prior));
    const gmm::fit_seconds& s = fit.seconds;
    facts.emplace_back("time", fmt::format("{} (load {}, start {}, iterations {})", duration_text(s.total),
                                           duration_text(s.load), duration_text(s.start), duration_text(s.iterations)));
    facts.emplace_back("time per iteration", duration_text(seconds_per_iteration(fit)));
    if (const auto count = std::ranges::count_if(fit.events, happened); count > 0)
        facts.emplace_back("events", fmt::format("{} (components that were empty or singular)", count));
    add_far_facts(facts, far_values_of(fit.events), column_names);
    return facts;
}

std::string fit_text(const gmm::fit_result& fit, const fit_setting& setting) {
    const std::string labelled = setting.labelled ? fmt::format(" ({} labelled)", *setting.labelled) : "";
    return fmt::format("Gaussian mixture of {}: {}, {} samples{}, on {}\n\n", setting.data, describe(fit.model),
                       fit.samples, labelled, setting.device) +
           text_list(fit_facts(fit, setting.column_names)) + "\n" + component_text(fit.model, setting.column_names);
}

json fit_json(const gmm::fit_result& fit, const fit_setting& setting) {
    json summary{{"command", setting.command},
                 {"version", version},
                 {"device", setting.device},
                 {"samples", fit.samples},
                 {"dimensions", fit.model.dimensions()},
                 {"components", fit.model.components()},
                 {"family", to_string(fit.model.shape())},
                 {"iterations", fit.iterations},
                 {"stopped", to_string(fit.stopped)},
                 {"start", start_json(name_of_start(fit.best_start))},
                 {"best_restart", fit.best_restart},
                 {"log_likelihood", fit.log_likelihood},
                 {"total_log_likelihood", fit.total_log_likelihood},
                 {"parameters", fit.model.parameters()},
                 {"bic", fit.bic},
                 {"aic", fit.aic},
                 {"icl", fit.icl},
                 {"seconds", seconds_json(fit.seconds)},
                 {"seconds_per_iteration", seconds_per_iteration(fit)},
                 {"trace", trace_json(fit.trace)},
                 {"events", events_json(fit)}};
    if (setting.labelled)
        summary["labelled"] = *setting.labelled;
    add_parameters(summary, fit.model);
    return summary;
}

} // namespace elbo::cli
