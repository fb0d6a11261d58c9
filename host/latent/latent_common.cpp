#include "host/latent/latent_common.hpp"

#include "host/rows/column_summary.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Numbers of results of inference that are held at a time, about.
constexpr std::int64_t most_results = std::int64_t(1) << 23;

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

/// The moments of columns are the same work for every model: the engines of mixtures do it.
std::unique_ptr<gmm_engine> moments_engine(const context& ctx, const data_source& data) {
    return gmm::make_engine(ctx, {gmm::family::diagonal, data.cols(), 1}, gmm::compute_precision::automatic,
                            data.type());
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

void check_rows(const context& ctx, gmm::row_feed& feed) {
    feed.summarize(*moments_engine(ctx, feed.data()));
}

gmm::data_summary summarize(const context& ctx, gmm::row_feed& feed) {
    return gmm::summarize_columns(feed, *moments_engine(ctx, feed.data()));
}

factor_rows::factor_rows(const context& ctx, const data_source& data, const gmm::sample_weights& weights)
    : ctx_(ctx), rows_(gmm::row_feed(ctx, data, weights), make_latent_engine(ctx, data.cols())),
      summary_(summarize(ctx, rows_.feed())) {}

void factor_rows::load(const kernels::frame& f, const latent_shape& largest, std::int64_t memory_limit) {
    largest_ = gmm::largest_normalized(summary_, f);
    const bool weighted = rows_.feed().weighted();
    if (rows_.engine().bytes_needed(largest, summary_.rows, weighted) > available_bytes(ctx_, memory_limit))
        rows_.stream();
    rows_.load(f);
}

std::vector<double> factor_rows::sums(const latent_parameters& p) {
    latent_engine& engine = rows_.engine();
    engine.set_parameters(p);
    engine.clear_sums(bounds_of(p, largest_, total_weight()));
    rows_.accumulate();
    return engine.sums();
}

void infer_rows(const context& ctx, const data_source& data, const frame& f, const latent_parameters& p,
                const std::function<void(const latent_batch&)>& sink) {
    gmm::row_feed feed(ctx, data, {});
    feed.stream(); // the results of a batch are kept, so batches stay small
    check_rows(ctx, feed);
    const auto engine = make_latent_engine(ctx, data.cols());
    engine->reserve(std::min(data.rows(), feed.batch_rows()), false);
    engine->set_parameters(p);
    // Results of many components and latent variables are larger than their rows: they come in parts of whole units.
    const std::int64_t each = 1 + p.shape.components * (1 + p.shape.latent);
    const std::int64_t most = std::max<std::int64_t>(1, most_results / (each * unit_rows)) * unit_rows;
    std::vector<double> densities, responsibilities, projected;
    feed.for_each(gmm::reading::in_turn, [&](const input_rows& batch, std::int64_t first_row) {
        engine->load(batch, f, 0);
        for (std::int64_t at = 0; at < batch.x.rows; at += most) {
            const std::int64_t rows = std::min(most, batch.x.rows - at);
            densities.resize(rows);
            responsibilities.resize(rows * p.shape.components);
            projected.resize(rows * p.shape.components * p.shape.latent);
            engine->infer(at, rows, {densities.data(), responsibilities.data(), projected.data()});
            sink({first_row + at, rows, densities.data(), responsibilities.data(), projected.data()});
        }
    });
}

} // namespace elbo::latent
