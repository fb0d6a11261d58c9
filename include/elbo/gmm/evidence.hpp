// The evidence lower bound of a mixture, term by term, for any q (docs/theory.md, first equation).
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/labels.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>

namespace elbo::gmm {

/// J(q, θ) and what it is made of: weighted means per sample, in nats. The bound is computed twice, from different
/// terms; the two numbers are equal but for rounding. Where q has mass on a component whose joint density is zero,
/// the bound is −infinity and `kl` +infinity.
struct evidence_terms {
    double expected_log_joint = 0; ///< E_q[log p(x, z | θ)]
    double entropy = 0;            ///< H(q) = −E_q[log q(z)]
    double kl = 0;                 ///< KL(q(z) ‖ p(z | x, θ)), from log q − log r; 0 to rounding for the posterior
    double log_likelihood = 0;     ///< log p(x | θ)
    double elbo = 0;               ///< expected_log_joint + entropy
    double elbo_from_gap = 0;      ///< log_likelihood − kl
    double total_weight = 0;       ///< W = Σ w_n
    std::int64_t samples = 0;      ///< n
    negligible_weights negligible{}; ///< rows whose weights are too small to count
};

/// The terms for q = p(z | x, θ), the posterior of the model itself: the bound is tight. With labels p(x, z | θ) has
/// the factors π_nk (labels.hpp), as in a fit. Log-joint densities are computed on the context, in the precision of
/// the data; everything after them in float64. One pass over the data, streamed; the batches and the number of threads
/// change no bit. Throws as score().
evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const sample_weights& weights = {},
                        const sample_labels& labels = {});

/// The terms for q given as responsibilities q_nk [n x k], in host memory, or in device memory where work in the order
/// of the context may still write it. Each row must sum to 1 within 1e-6, which numbers rounded to float32 do; it is
/// then normalised. Throws as score(), and invalid_argument: another shape, entries that are negative or not finite
/// (row and component), a row with another sum (row).
evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const any_matrix_view& q,
                        const sample_weights& weights = {}, const sample_labels& labels = {});

/// The terms for q = p(z | x, θ') where θ' is another model with as many components: J(q_{t+1}, θ_{t+1}) of a fit is
/// evidence(ctx, θ_{t+1}, data, θ_t). Labels count for both. Throws as score(), and invalid_argument: other dimensions
/// or components.
evidence_terms evidence(const context& ctx, const model& m, const data_source& data, const model& other,
                        const sample_weights& weights = {}, const sample_labels& labels = {});

} // namespace elbo::gmm
