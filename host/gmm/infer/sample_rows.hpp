// Sampling in parts.
#pragma once

#include "elbo/gmm/infer.hpp"

namespace elbo::gmm {

/// Rows first_row ... first_row + n of what sample(ctx, m, more rows, seed) draws.
sample_result sample_rows(const model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed);

} // namespace elbo::gmm
