// What the summaries of all fits have in common.
#pragma once

#include "host/cli/core/findings.hpp"
#include "host/cli/core/options.hpp"

#include "elbo/gmm/fit.hpp"
#include "host/fit_fields.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::cli {

/// The kind of start that was kept, by name; nothing where that was a model.
template <class Kind>
std::optional<std::string_view> name_of_start(const std::optional<Kind>& kind) {
    return kind ? std::optional(to_string(*kind)) : std::nullopt;
}

/// "fit": how it ended, and "start", unless there is only one kind.
void add_stopping(findings& found, gmm::stop_reason stopped, std::int64_t iterations);
void add_start(findings& found, std::optional<std::string_view> kind, std::int64_t restart, bool for_people = true);

/// Log-likelihoods and criteria of a model on data, of scores and of fits.
template <class Result>
void add_likelihoods(findings& found, const Result& result, std::int64_t parameters) {
    found.add(result, &Result::log_likelihood, &Result::total_log_likelihood);
    found.add("parameters", "parameters", parameters);
    found.add(result, &Result::bic, &Result::aic);
}

void add_seconds(findings& found, const gmm::fit_seconds& s);
json far_values_json(const gmm::far_values& far);
/// One fact for each column with far values, the first ten of them.
void tell_far_values(findings& found, const std::vector<gmm::far_values>& far,
                     const std::vector<std::string>& column_names);
/// Of those of kind far_value.
template <class Event>
std::vector<gmm::far_values> far_values_of(const std::vector<Event>& events) {
    std::vector<gmm::far_values> far;
    for (const Event& e : events)
        if (e.what == Event::kind::far_value)
            far.push_back(e.far);
    return far;
}
/// "events", by `entry` where they are not of far values; those are told as facts, too.
template <class Event, class Entry>
void add_events(findings& found, const std::vector<Event>& happened, const std::vector<std::string>& column_names,
                const Entry& entry) {
    json events = json::array();
    for (const Event& e : happened)
        events.push_back(e.what == Event::kind::far_value ? far_values_json(e.far) : entry(e));
    found.add("events", std::move(events));
    tell_far_values(found, far_values_of(happened), column_names);
}

/// Rows whose weights are too small to count: a note on standard error, and "negligible_weights" in the summary.
/// Nothing where there are none.
void add_negligible(findings& found, const output_options& output, const gmm::negligible_weights& rows);
/// A note where components of the start model are the same.
void note_identical(const output_options& output, const std::vector<gmm::event>& events);

/// The text for standard output: `subject` is what was fitted to what, `model` describes it, `more` comes below the
/// facts.
std::string fit_text(const std::string& subject, const std::string& model, const std::string& samples,
                     const context& ctx, const fact_list& facts, const std::string& more);

} // namespace elbo::cli
