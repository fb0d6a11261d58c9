#include "host/latent/sphere/rows.hpp"

#include <cmath>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

double length(const std::vector<double>& v) {
    return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
}

/// Bounds of the sums over rows of total weight W with ‖x̃‖ ≤ reach.
sum_bounds bounds_of(const sphere_values& p, double reach, double total_weight) {
    const double most = 1 + reach + length(p.centre) + p.radius; // ‖y − r u‖, ‖y‖ and r
    const double constant = std::abs(p.law().log_constant);
    return {2 * total_weight * most * most, 2 * total_weight * (constant + 2 * most * most / p.noise)};
}

} // namespace

sphere_rows::sphere_rows(const context& ctx, const data_source& data, const sample_weights& weights,
                         std::int64_t memory_limit)
    : latent_rows(ctx, data, weights, make_sphere_engine(ctx, data.cols())) {
    load(gmm::make_frame(gmm::family::spherical, summary().mean, summary().variance), {data.cols()}, memory_limit);
}

double sphere_rows::mean_variance() const {
    const std::vector<double>& variance = summary().variance;
    const double scale = frame().scale.front(), d = static_cast<double>(variance.size());
    return std::accumulate(variance.begin(), variance.end(), 0.0) / (d * scale * scale);
}

std::vector<double> sphere_rows::sums(const sphere_values& p) {
    const double reach = largest() * std::sqrt(static_cast<double>(summary().mean.size())); // max ‖x̃‖ or more
    return sums_of(p.pass(), bounds_of(p, reach, total_weight()));
}

sphere_values to_frame(const sphere_model& m, const frame& f) {
    const double scale = f.scale.front();
    sphere_values p{m.centre(), m.radius() / scale, m.noise() / (scale * scale)};
    for (std::size_t j = 0; j < p.centre.size(); ++j)
        p.centre[j] = (p.centre[j] - f.centre[j]) / scale;
    return p;
}

sphere_model from_frame(const sphere_values& p, const frame& f) {
    const double scale = f.scale.front();
    sphere_parameters values{p.centre, p.radius * scale, p.noise * scale * scale};
    for (std::size_t j = 0; j < values.centre.size(); ++j)
        values.centre[j] = values.centre[j] * scale + f.centre[j];
    return sphere_model(std::move(values));
}

} // namespace elbo::latent
