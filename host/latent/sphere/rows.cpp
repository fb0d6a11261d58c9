#include "host/latent/sphere/rows.hpp"

#include "elbo/error.hpp"
#include "host/latent/latent_common.hpp"
#include "host/rows/row_access.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

double length(const std::vector<double>& v) {
    return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
}

/// Bounds of the sums over rows of total weight W with ‖x̃‖ ≤ reach.
sphere_bounds bounds_of(const sphere_values& p, double reach, double total_weight) {
    const double most = 1 + reach + length(p.centre) + p.radius; // ‖y − r u‖, ‖y‖ and r
    const auto d = static_cast<std::int64_t>(p.centre.size());
    const double constant = std::abs(make_sphere_scales(d, p.radius, p.noise).log_constant);
    return {2 * total_weight * most * most, 2 * total_weight * (constant + 2 * most * most / p.noise)};
}

} // namespace

std::unique_ptr<sphere_engine> make_sphere_engine(const context& ctx, std::int64_t dimensions) {
    switch (ctx.where()) {
    case backend::reference:
        return make_reference_sphere_engine(ctx, dimensions);
    case backend::cpu:
        return make_cpu_sphere_engine(ctx, dimensions);
    case backend::cuda:
        return make_cuda_sphere_engine(ctx, dimensions);
    }
    throw invalid_argument("unknown back end");
}

sphere_rows::sphere_rows(const context& ctx, const data_source& data, const gmm::sample_weights& weights,
                         std::int64_t memory_limit)
    : feed_(ctx, data, weights), summary_(summarize(ctx, feed_)),
      frame_(gmm::make_frame(gmm::family::spherical, summary_.mean, summary_.variance)),
      engine_(make_sphere_engine(ctx, data.cols())) {
    reach_ = gmm::largest_normalized(summary_, frame_) * std::sqrt(static_cast<double>(data.cols()));
    streamed_ = engine_->bytes_needed(summary_.rows, feed_.weighted()) > available_bytes(ctx, memory_limit);
    if (streamed_)
        feed_.stream();
    engine_->reserve(streamed_ ? std::min(summary_.rows, feed_.batch_rows()) : summary_.rows, feed_.weighted());
    if (!streamed_)
        feed_.for_each([&](const input_rows& batch, std::int64_t first) { engine_->load(batch, frame_, first); });
}

double sphere_rows::mean_variance() const {
    const double scale = frame_.scale.front(), d = static_cast<double>(summary_.variance.size());
    return std::accumulate(summary_.variance.begin(), summary_.variance.end(), 0.0) / (d * scale * scale);
}

std::vector<double> sphere_rows::sums(const sphere_values& p) {
    engine_->set_parameters(p);
    engine_->clear_sums(bounds_of(p, reach_, summary_.weight * feed_.weight_scale()));
    if (streamed_)
        feed_.for_each([&](const input_rows& batch, std::int64_t) {
            engine_->load(batch, frame_, 0);
            engine_->accumulate(0, batch.x.rows);
        });
    else
        engine_->accumulate(0, summary_.rows);
    return engine_->sums();
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
