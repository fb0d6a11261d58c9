// The result of a variational fit for people and for programs.
#pragma once

#include "host/cli/mixture/summary/fit_summary.hpp"
#include "host/io/model/json.hpp"

#include "elbo/gmm/variational.hpp"

#include <string>

namespace elbo::cli {

/// Names and values of what matters; components with more than `threshold` samples count as effective.
fact_list variational_facts(const gmm::variational_result& fit, double threshold,
                            const std::vector<std::string>& column_names);
/// The text for standard output; `shown` is the mixture whose components are listed.
std::string variational_text(const gmm::variational_result& fit, const gmm::model& shown, double threshold,
                             const fit_setting& setting);
/// The JSON summary (docs/command-line.md).
io::json variational_json(const gmm::variational_result& fit, double threshold, const fit_setting& setting);

} // namespace elbo::cli
