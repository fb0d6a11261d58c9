// Inference in parts.
#pragma once

#include "elbo/gmm/infer.hpp"
#include "host/scoring.hpp"

namespace elbo::gmm {

/// An engine that holds the model, in the arithmetic for rows of this type.
scoring<kernels::gmm_engine> make_scoring(const context& ctx, const model& m, element_type type);

/// Rows first_row ... first_row + n of what sample(ctx, m, more rows, seed) draws.
sample_result sample_rows(const model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed);

} // namespace elbo::gmm
