// The result of a fit with continuous latent variables for people and for programs.
#pragma once

#include "host/cli/latent/model.hpp"
#include "host/cli/mixture/summary/fit_summary.hpp"

#include <optional>
#include <string>
#include <vector>

namespace elbo::cli {

/// What fits of all kinds report.
struct latent_fit_summary {
    latent_model model;
    std::vector<gmm::iteration_record> trace;
    gmm::stop_reason stopped;
    json events;
    std::vector<gmm::far_values> far; ///< those of the events that are of values
    gmm::fit_seconds seconds;
    std::int64_t iterations, samples;
    double log_likelihood, total_log_likelihood, bic, aic;
    gmm::negligible_weights negligible;
    std::int64_t best_restart;
    std::optional<latent::factor_start> best_start{}; ///< nothing with eigen, a start model and a sphere
};
latent_fit_summary summarize(const latent::factor_result& fit);
latent_fit_summary summarize(const latent::sphere_result& fit);

/// Names and values of what matters: for standard output and for the page.
fact_list latent_fit_facts(const latent_fit_summary& fit, const std::vector<std::string>& column_names);
/// The text for standard output.
std::string latent_fit_text(const latent_fit_summary& fit, const fit_setting& setting);
/// The JSON summary (docs/command-line.md).
json latent_fit_json(const latent_fit_summary& fit, const fit_setting& setting);

} // namespace elbo::cli
