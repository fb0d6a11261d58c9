// What a linear-Gaussian model says about data.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/fit_fields.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/infer.hpp"
#include "host/latent/rows.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Squares of rows farther from a model would leave the range of float64: refused before a sum over all rows is made.
void require_near_rows(const data_source& data, const factor_rows& rows, const frame& f) {
    constexpr double most = 0x1p400;
    const gmm::data_summary& s = rows.summary();
    for (std::size_t j = 0; j < f.centre.size(); ++j)
        for (const double end : {s.min[j], s.max[j]})
            expects(std::abs(end - f.centre[j]) / f.scale[j] <= most, [&] {
                return fmt::format("{}: column {} has {:.6g}, too far from the model for the sums: leave that row out "
                                   "or give it the weight 0",
                                   data.description(), j, end);
            });
}

} // namespace

scoring<latent_engine> make_scoring(const context& ctx, const factor_model& m) {
    const frame f = frame_of(m);
    factor_operators o = operators_of(to_frame(m, f));
    o.pass.posterior_factors = std::move(o.posterior_factors);
    o.pass.loadings = m.loadings();
    o.pass.centres = m.means();
    auto engine = make_latent_engine(ctx, m.dimensions());
    engine->set_parameters(o.pass);
    return {std::move(engine), f, 2 + m.components() * (1 + m.latent())};
}

void infer(const context& ctx, const factor_model& m, const data_source& data,
           const std::function<void(const factor_batch&)>& sink) {
    auto all = scored(ctx, m, data);
    const std::int64_t K = m.components(), each = K * m.latent(), most = all.most_rows();
    std::vector<double> densities(most), responsibilities(most * K), means(most * each);
    all.infer(
        [&](std::int64_t n) {
            return row_results{{densities.data(), n, 1}, {responsibilities.data(), n, K}, {means.data(), n, each}};
        },
        [&](std::int64_t first_row, std::int64_t n) {
            sink({first_row, n, densities.data(), responsibilities.data(), means.data()});
        });
}

std::vector<double> log_density(const context& ctx, const factor_model& m, const data_source& data) {
    return log_density_of(ctx, m, data);
}

factor_posterior posterior(const context& ctx, const factor_model& m, const data_source& data) {
    const std::int64_t n = data.rows(), K = m.components(), each = K * m.latent();
    factor_posterior p{std::vector<double>(n), std::vector<double>(n * K), std::vector<double>(n * each)};
    scored(ctx, m, data)
        .infer({{p.log_density.data(), n, 1}, {p.responsibilities.data(), n, K}, {p.means.data(), n, each}});
    return p;
}

std::vector<double> reconstruct(const context& ctx, const factor_model& m, const data_source& data) {
    return reconstruct_of(ctx, m, data);
}

gmm::score_result score(const context& ctx, const factor_model& m, const data_source& data,
                        const gmm::sample_weights& weights) {
    check_width(data, m.dimensions());
    factor_rows rows(ctx, data, weights);
    const frame f = frame_of(m);
    require_near_rows(data, rows, f);
    const factor_operators o = operators_of(to_frame(m, f));
    rows.load(f, o.pass.shape, 1); // one pass: nothing is gained by keeping the rows
    const std::vector<double> sums = rows.sums(o.pass);
    const double* scalars = sums.data() + sums.size() - scalar_count;
    gmm::score_result r;
    set_likelihood(r, m, scalars[scalar_log_likelihood] / scalars[scalar_weight] - gmm::log_scale(f), rows.summary(),
                   rows.negligible());
    r.entropy = scalars[scalar_entropy] / scalars[scalar_weight];
    r.icl = r.bic + 2 * r.entropy * r.total_weight;
    return r;
}

gmm::model to_mixture(const factor_model& m) {
    std::vector<double> covariances;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> c = m.covariance(k);
        covariances.insert(covariances.end(), c.begin(), c.end());
    }
    return gmm::model::from_covariances(gmm::family::full, m.dimensions(), m.weights(), m.means(),
                                        std::move(covariances));
}

} // namespace elbo::latent
