// What EM and variational Bayes have in common: where a fit begins, the rows in memory, and a pass over them.
#pragma once

#include "host/gmm/fit/fit_setup.hpp"
#include "host/gmm/start/start.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Moments of the rows, in the first pass (summarize_columns), with the variances of the options where they have some.
/// Throws invalid_argument for what summarize_columns() finds and for fewer distinct rows than components.
data_summary summarize_rows(fit_setup& setup);

/// Parameters in the frame that restart number `restart` begins with. `sample` is drawn by the first one that needs it.
/// `lambda` [d] as in update_rule.
kernels::gmm_parameters first_parameters(const fit_setup& setup, const kernels::frame& f, const data_summary& summary,
                                         const std::vector<double>& lambda, std::int64_t restart, start_sample& sample);

/// What is to be said about the start: components of the start model that are the same as one before them, where no
/// label tells them apart.
std::vector<event> start_events(const fit_setup& setup);

/// Memory for the rows, and the rows, where they stay. Returns the sums that tied families take once
/// (update_rule::scatter), of others nothing. `component_bound` as for clear_sums.
std::vector<double> load_rows(fit_setup& setup, const kernels::frame& f, double component_bound);

/// One E-step over all rows: the engine's sums, from zero.
void pass_over_rows(fit_setup& setup, double component_bound, double scalar_bound);

} // namespace elbo::gmm
