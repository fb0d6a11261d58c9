// The result of a sweep over models for people and for programs.
#pragma once

#include "host/cli/mixture/summary/fit_summary.hpp"
#include "host/io/model/json.hpp"

#include "elbo/gmm/select.hpp"

#include <string>

namespace elbo::cli {

/// Names and values of what matters: for the page.
fact_list select_facts(const gmm::select_result& result);
/// The text for standard output: the table, and the choice.
std::string select_text(const gmm::select_result& result, const fit_setting& setting);
/// The JSON summary (docs/command-line.md).
io::json select_json(const gmm::select_result& result, const gmm::select_options& options, const fit_setting& setting);

} // namespace elbo::cli
