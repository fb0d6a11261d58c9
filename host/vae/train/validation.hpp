// Bounds of whole data sets: sums over per-row results in the order of the rows, so the same for any batches.
#pragma once

#include "host/vae/rows.hpp"
#include "host/vae/train/epoch_sums.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace elbo::vae {

/// How rows are evaluated.
struct evaluation_draws {
    std::int64_t samples = 1;
    bool binarize = false;
    std::uint64_t seed = 0;
};

/// Of the first `rows` rows of a resident data set.
mean_terms resident_terms(kernels::vae_engine& engine, std::int64_t dataset, std::int64_t rows,
                          const evaluation_draws& draws);
/// Of a source, streamed.
mean_terms streamed_terms(kernels::vae_engine& engine, const row_batches& feed, const evaluation_draws& draws);

} // namespace elbo::vae
