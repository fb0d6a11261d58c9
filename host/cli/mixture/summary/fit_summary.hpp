// The result of a fit for people and for programs.
#pragma once

#include "elbo/gmm/fit.hpp"
#include "host/io/model/json.hpp"

#include <optional>
#include <string>
#include <string_view>
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
/// The kind of start that was kept, by name; nothing where that was a model.
template <class Kind>
std::optional<std::string_view> name_of_start(const std::optional<Kind>& kind) {
    return kind ? std::optional(to_string(*kind)) : std::nullopt;
}
std::string start_text(std::optional<std::string_view> kind, std::int64_t restart);
io::json start_json(std::optional<std::string_view> kind);
io::json trace_json(const std::vector<gmm::iteration_record>& records);
io::json seconds_json(const gmm::fit_seconds& s);

io::json far_values_json(const gmm::far_values& far);
/// "row 301, column 0 (x): 99999 is 5.1e+04 robust deviations from the median; 2 such rows".
std::string far_values_text(const gmm::far_values& far, const std::vector<std::string>& column_names);
/// One fact for each column with far values, the first ten of them.
void add_far_facts(fact_list& facts, const std::vector<gmm::far_values>& far,
                   const std::vector<std::string>& column_names);
/// Of those of kind far_value.
std::vector<gmm::far_values> far_values_of(const std::vector<gmm::event>& events);

/// Names and values of what matters: for standard output and for the page.
fact_list fit_facts(const gmm::fit_result& fit, const std::vector<std::string>& column_names);
/// The text for standard output.
std::string fit_text(const gmm::fit_result& fit, const fit_setting& setting);
/// The JSON summary (docs/command-line.md).
io::json fit_json(const gmm::fit_result& fit, const fit_setting& setting);

} // namespace elbo::cli
