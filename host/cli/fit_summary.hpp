// The result of a fit for people and for programs.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/io/json.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::cli {

using fact_list = std::vector<std::pair<std::string, std::string>>;

/// Where and how a fit was made.
struct fit_setting {
    std::string command;
    std::string device;
    std::string data; ///< description of the data
    std::vector<std::string> column_names;
    std::optional<std::int64_t> labelled = {}; ///< samples of known component, where there are labels
};

/// Parts of the summaries of all fits.
std::string stopping_text(gmm::stop_reason stopped, std::int64_t iterations);
io::json trace_json(const std::vector<gmm::iteration_record>& records);
io::json seconds_json(const gmm::fit_seconds& s);

/// Names and values of what matters: for standard output and for the page.
fact_list fit_facts(const gmm::fit_result& fit);
/// The text for standard output.
std::string fit_text(const gmm::fit_result& fit, const fit_setting& setting);
/// The JSON summary (docs/command-line.md).
io::json fit_json(const gmm::fit_result& fit, const fit_setting& setting);

} // namespace elbo::cli
