// What a fit found that its user may not have meant: said on standard error and in the summary.
#pragma once

#include "host/cli/core/options.hpp"
#include "host/io/model/json.hpp"

#include "elbo/gmm/fit.hpp"

#include <vector>

namespace elbo::cli {

/// Rows whose weights are too small to count: a note, and "negligible_weights" in the summary. Nothing where there are
/// none.
void tell_negligible(const output_options& options, const gmm::negligible_weights& rows, io::json& summary);

/// A note where components of the start model are the same.
void tell_identical(const output_options& options, const std::vector<gmm::event>& events);

} // namespace elbo::cli
