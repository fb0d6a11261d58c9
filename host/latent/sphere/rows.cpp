#include "host/latent/sphere/rows.hpp"

#include "host/latent/latent_common.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"

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

sphere_rows::sphere_rows(const context& ctx, const data_source& data, const gmm::sample_weights& weights,
                         std::int64_t memory_limit)
    : rows_(gmm::row_feed(ctx, data, weights), make_sphere_engine(ctx, data.cols())),
      summary_(summarize(ctx, rows_.feed())) {
    const kernels::frame f = gmm::make_frame(gmm::family::spherical, summary_.mean, summary_.variance);
    reach_ = gmm::largest_normalized(summary_, f) * std::sqrt(static_cast<double>(data.cols()));
    const bool weighted = rows_.feed().weighted();
    if (rows_.engine().bytes_needed({data.cols()}, summary_.rows, weighted) > available_bytes(ctx, memory_limit))
        rows_.stream();
    rows_.load(f);
}

double sphere_rows::mean_variance() const {
    const double scale = frame().scale.front(), d = static_cast<double>(summary_.variance.size());
    return std::accumulate(summary_.variance.begin(), summary_.variance.end(), 0.0) / (d * scale * scale);
}

std::vector<double> sphere_rows::sums(const sphere_values& p) {
    sphere_engine& engine = rows_.engine();
    engine.set_parameters(p.pass());
    engine.clear_sums(bounds_of(p, reach_, summary_.weight * rows_.feed().weight_scale()));
    rows_.accumulate();
    return engine.sums();
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
