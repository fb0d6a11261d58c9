// What a sphere model says about data.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/latent_common.hpp"
#include "host/latent/sphere/rows.hpp"
#include "host/rows/frame.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

/// A frame that suits a model rather than data.
frame frame_of(const sphere_model& m) {
    const double d = static_cast<double>(m.dimensions());
    const double spread = std::sqrt(m.noise() + m.radius() * (m.radius() / d));
    return {m.centre(), std::vector<double>(m.centre().size(), gmm::nearest_power_of_two(spread))};
}

void check_dimensions(const sphere_model& m, const data_source& data) {
    expects(data.cols() == m.dimensions(), [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), m.dimensions());
    });
}

/// `sink` as for infer, with means null unless wanted.
void infer_rows(const context& ctx, const sphere_model& m, const data_source& data, bool with_means,
                const std::function<void(const sphere_batch&)>& sink) {
    check_dimensions(m, data);
    gmm::row_feed feed(ctx, data, {});
    feed.stream();         // the results of a batch are kept, so batches stay small
    check_rows(ctx, feed); // every value is checked before the first result is handed out
    const frame f = frame_of(m);
    const double shift = gmm::log_scale(f);
    const auto engine = make_sphere_engine(ctx, data.cols());
    engine->reserve(std::min(data.rows(), feed.batch_rows()), false);
    engine->set_parameters(to_frame(m, f).pass());
    std::vector<double> densities, means, concentrations;
    feed.for_each(gmm::reading::in_turn, [&](const input_rows& batch, std::int64_t first_row) {
        const std::int64_t rows = batch.x.rows;
        densities.resize(rows);
        concentrations.resize(rows);
        means.resize(with_means ? rows * m.dimensions() : 0);
        engine->load(batch, f, 0);
        engine->infer(0, rows, {densities.data(), with_means ? means.data() : nullptr, concentrations.data()});
        for (double& v : densities)
            v -= shift;
        sink({first_row, rows, densities.data(), with_means ? means.data() : nullptr, concentrations.data()});
    });
}

} // namespace

void infer(const context& ctx, const sphere_model& m, const data_source& data,
           const std::function<void(const sphere_batch&)>& sink) {
    infer_rows(ctx, m, data, true, sink);
}

std::vector<double> log_density(const context& ctx, const sphere_model& m, const data_source& data) {
    std::vector<double> result(data.rows());
    infer_rows(ctx, m, data, false,
               [&](const sphere_batch& b) { std::copy_n(b.log_density, b.rows, result.begin() + b.first_row); });
    return result;
}

sphere_posterior posterior(const context& ctx, const sphere_model& m, const data_source& data) {
    const std::int64_t d = m.dimensions(), n = data.rows();
    sphere_posterior result{std::vector<double>(n), std::vector<double>(n * d), std::vector<double>(n)};
    infer(ctx, m, data, [&](const sphere_batch& b) {
        std::copy_n(b.log_density, b.rows, result.log_density.begin() + b.first_row);
        std::copy_n(b.means, b.rows * d, result.means.begin() + b.first_row * d);
        std::copy_n(b.concentrations, b.rows, result.concentrations.begin() + b.first_row);
    });
    return result;
}

std::vector<double> reconstruct(const context& ctx, const sphere_model& m, const data_source& data) {
    const std::int64_t d = m.dimensions();
    std::vector<double> result(data.rows() * d);
    infer(ctx, m, data, [&](const sphere_batch& b) {
        for (std::int64_t i = 0; i < b.rows * d; ++i)
            result[b.first_row * d + i] = m.centre()[i % d] + m.radius() * b.means[i];
    });
    return result;
}

gmm::score_result score(const context& ctx, const sphere_model& m, const data_source& data,
                        const gmm::sample_weights& weights) {
    check_dimensions(m, data);
    sphere_rows rows(ctx, data, weights, 1); // one pass: the rows need not stay
    const std::vector<double> sums = rows.sums(to_frame(m, rows.frame()));
    const double* scalars = sums.data() + 2 * m.dimensions();
    gmm::score_result r;
    r.log_likelihood = scalars[sphere_log_density] / scalars[sphere_weight] - gmm::log_scale(rows.frame());
    r.total_weight = rows.summary().weight;
    r.total_log_likelihood = r.log_likelihood * r.total_weight;
    r.samples = rows.summary().rows;
    r.negligible = rows.negligible();
    r.bic = r.icl = bic(m, r.total_log_likelihood, r.total_weight);
    r.aic = aic(m, r.total_log_likelihood);
    return r;
}

} // namespace elbo::latent
