// What a linear-Gaussian model says about data.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/latent_common.hpp"
#include "host/rows/frame.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

namespace {

void check_columns(const factor_model& m, const data_source& data) {
    expects(data.cols() == m.dimensions(), [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), m.dimensions());
    });
}

/// E[z | x, k] = R⁻ᵀ c for all rows of a batch, in place of c.
void to_posterior_means(const factor_operators& o, std::int64_t rows, double* projected) {
    const one_blas_thread guard;
    const std::int64_t K = o.pass.shape.components, L = o.pass.shape.latent;
    const auto size = static_cast<int>(L);
    // Rows of component k are K · L apart, and as row vectors they are multiplied by R⁻¹ from the right.
    for (std::int64_t k = 0; k < K; ++k)
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, static_cast<int>(rows), size, 1,
                    &o.posterior_factors[k * L * L], size, projected + k * L, static_cast<int>(K * L));
}

/// Squares of rows farther from a model would leave the range of float64.
void require_density(const data_source& data, std::int64_t row, double log_density) {
    expects(std::isfinite(log_density), [&] {
        return fmt::format("{}: row {} is so far from the model that its log-density is no finite number: leave the "
                           "row out",
                           data.description(), row);
    });
}

/// The same before a sum over all rows is made.
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

void infer(const context& ctx, const factor_model& m, const data_source& data,
           const std::function<void(const factor_batch&)>& sink) {
    check_columns(m, data);
    const frame f = frame_of(m);
    const double shift = gmm::log_scale(f);
    const factor_operators o = operators_of(to_frame(m, f));
    std::vector<double> densities, means;
    infer_rows(ctx, data, f, o.pass, [&](const latent_batch& b) {
        densities.assign(b.log_density, b.log_density + b.rows);
        for (std::int64_t n = 0; n < b.rows; ++n) {
            require_density(data, b.first_row + n, densities[n]);
            densities[n] -= shift;
        }
        means.assign(b.projected, b.projected + b.rows * m.components() * m.latent());
        to_posterior_means(o, b.rows, means.data());
        sink({b.first_row, b.rows, densities.data(), b.responsibilities, means.data()});
    });
}

std::vector<double> log_density(const context& ctx, const factor_model& m, const data_source& data) {
    std::vector<double> result(data.rows());
    infer(ctx, m, data,
          [&](const factor_batch& b) { std::copy_n(b.log_density, b.rows, result.begin() + b.first_row); });
    return result;
}

factor_posterior posterior(const context& ctx, const factor_model& m, const data_source& data) {
    const std::int64_t n = data.rows(), K = m.components(), each = K * m.latent();
    factor_posterior p{std::vector<double>(n), std::vector<double>(n * K), std::vector<double>(n * each)};
    infer(ctx, m, data, [&](const factor_batch& b) {
        std::copy_n(b.log_density, b.rows, p.log_density.begin() + b.first_row);
        std::copy_n(b.responsibilities, b.rows * K, p.responsibilities.begin() + b.first_row * K);
        std::copy_n(b.means, b.rows * each, p.means.begin() + b.first_row * each);
    });
    return p;
}

std::vector<double> reconstruct(const context& ctx, const factor_model& m, const data_source& data) {
    const std::int64_t d = m.dimensions(), K = m.components(), L = m.latent();
    std::vector<double> result(data.rows() * d);
    infer(ctx, m, data, [&](const factor_batch& b) {
        const one_blas_thread guard;
        std::vector<double> each(b.rows * d);
        for (std::int64_t k = 0; k < K; ++k) {
            for (std::int64_t n = 0; n < b.rows; ++n)
                std::copy_n(&m.means()[k * d], d, &each[n * d]);
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(b.rows), static_cast<int>(d),
                        static_cast<int>(L), 1, b.means + k * L, static_cast<int>(K * L), &m.loadings()[k * d * L],
                        static_cast<int>(L), 1, each.data(), static_cast<int>(d));
            for (std::int64_t n = 0; n < b.rows; ++n)
                for (std::int64_t j = 0; j < d; ++j)
                    result[(b.first_row + n) * d + j] += b.responsibilities[n * K + k] * each[n * d + j];
        }
    });
    return result;
}

gmm::score_result score(const context& ctx, const factor_model& m, const data_source& data,
                        const gmm::sample_weights& weights) {
    check_columns(m, data);
    factor_rows rows(ctx, data, weights);
    const frame f = frame_of(m);
    require_near_rows(data, rows, f);
    const factor_operators o = operators_of(to_frame(m, f));
    rows.load(f, o.pass.shape, 1); // one pass: nothing is gained by keeping the rows
    const std::vector<double> sums = rows.sums(o.pass);
    const double* scalars = sums.data() + sums.size() - scalar_count;
    gmm::score_result r;
    r.samples = rows.summary().rows;
    r.negligible = rows.negligible();
    r.total_weight = rows.summary().weight;
    r.log_likelihood = scalars[scalar_log_likelihood] / scalars[scalar_weight] - gmm::log_scale(f);
    r.total_log_likelihood = r.log_likelihood * r.total_weight;
    r.entropy = scalars[scalar_entropy] / scalars[scalar_weight];
    r.bic = bic(m, r.total_log_likelihood, r.total_weight);
    r.aic = aic(m, r.total_log_likelihood);
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
