#include "host/latent/rows.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

using namespace kernels;

namespace {

double largest_magnitude(const std::vector<double>& v) {
    double largest = 0;
    for (double x : v)
        largest = std::max(largest, std::abs(x));
    return largest;
}

/// max_l Σ_j |W_jl| over all components: ‖c‖_∞ is at most this times max |δ|.
double largest_column_sum(const latent_parameters& p) {
    const std::int64_t d = p.shape.dimensions, L = p.shape.latent;
    double largest = 0;
    for (std::int64_t k = 0; k < p.shape.components; ++k)
        for (std::int64_t l = 0; l < L; ++l) {
            double sum = 0;
            for (std::int64_t j = 0; j < d; ++j)
                sum += std::abs(p.projections[(k * d + j) * L + l]);
            largest = std::max(largest, sum);
        }
    return largest;
}

/// Bounds of the sums over all rows: of w r times 1, δ, δ² and δ c, and of w times log p(x̃) and H(r).
sum_bounds bounds_of(const latent_parameters& p, double largest, double total_weight) {
    const double delta = largest + largest_magnitude(p.means), c = delta * largest_column_sum(p);
    const double squares = delta * delta * largest_magnitude(p.precisions) * static_cast<double>(p.shape.dimensions) +
                           c * c * static_cast<double>(p.shape.latent);
    const double log_components = std::log(static_cast<double>(p.shape.components));
    double offset = 0; // of a component of weight 0 it is −infinity, but no sum sees that
    for (double o : p.offsets)
        offset = std::isfinite(o) ? std::max(offset, std::abs(o)) : offset;
    return {2 * total_weight * std::max({1.0, delta, delta * delta, delta * c}),
            2 * total_weight * (1 + offset + squares + log_components)};
}

} // namespace

std::vector<double> factor_rows::sums(const latent_parameters& p) {
    return sums_of(p, bounds_of(p, largest(), total_weight()));
}

} // namespace elbo::latent
