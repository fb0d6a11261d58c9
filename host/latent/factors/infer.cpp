// What a linear-Gaussian model says about data.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/latent/criteria.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/latent_common.hpp"
#include "host/latent/scoring.hpp"
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

class factor_scoring final : public engine_scoring<latent_engine> {
public:
    factor_scoring(const context& ctx, const factor_model& m)
        : engine_scoring(m.dimensions(), m.components(), m.components() * m.latent(),
                         make_latent_engine(ctx, m.dimensions()), frame_of(m)),
          model_(m), operators_(operators_of(to_frame(m, frame_))), shift_(gmm::log_scale(frame_)) {
        engine_->set_parameters(operators_.pass);
    }

    void infer(std::int64_t first, std::int64_t rows, const row_results& to, std::string_view name,
               std::int64_t first_row) override {
        engine_->infer(first, rows, {to.log_density, to.responsibilities, to.means});
        for (std::int64_t n = 0; to.log_density && n < rows; ++n) {
            expects(std::isfinite(to.log_density[n]), [&] {
                return fmt::format("{}: row {} is so far from the model that its log-density is no finite number: "
                                   "leave the row out",
                                   name, first_row + first + n);
            });
            to.log_density[n] -= shift_;
        }
        if (to.means)
            to_posterior_means(rows, to.means);
    }

    void reconstruct(std::int64_t rows, const row_results& of, double* out) override {
        const one_blas_thread guard;
        const std::int64_t d = dimensions, K = components, L = model_.latent();
        each_.resize(std::max<std::size_t>(each_.size(), rows * d));
        std::fill_n(out, rows * d, 0.0);
        for (std::int64_t k = 0; k < K; ++k) {
            for (std::int64_t n = 0; n < rows; ++n)
                std::copy_n(&model_.means()[k * d], d, &each_[n * d]);
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(d),
                        static_cast<int>(L), 1, of.means + k * L, static_cast<int>(K * L),
                        &model_.loadings()[k * d * L], static_cast<int>(L), 1, each_.data(), static_cast<int>(d));
            for (std::int64_t n = 0; n < rows; ++n)
                for (std::int64_t j = 0; j < d; ++j)
                    out[n * d + j] += of.responsibilities[n * K + k] * each_[n * d + j];
        }
    }

    std::vector<double> sample(std::int64_t first, std::int64_t rows, std::uint64_t seed) const override {
        return sample_rows(model_, first, rows, seed).x;
    }

private:
    /// E[z | x, k] = R⁻ᵀ c for all rows, in place of c.
    void to_posterior_means(std::int64_t rows, double* projected) const {
        const one_blas_thread guard;
        const std::int64_t K = components, L = model_.latent();
        // Rows of component k are K · L apart, and as row vectors they are multiplied by R⁻¹ from the right.
        for (std::int64_t k = 0; k < K; ++k)
            cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, static_cast<int>(rows),
                        static_cast<int>(L), 1, &operators_.posterior_factors[k * L * L], static_cast<int>(L),
                        projected + k * L, static_cast<int>(K * L));
    }

    factor_model model_;
    factor_operators operators_;
    double shift_; ///< log-densities are larger by it in the frame
    std::vector<double> each_;
};

} // namespace

std::unique_ptr<scoring> make_scoring(const context& ctx, const factor_model& m) {
    return std::make_unique<factor_scoring>(ctx, m);
}

void infer(const context& ctx, const factor_model& m, const data_source& data,
           const std::function<void(const factor_batch&)>& sink) {
    infer_rows(ctx, data, *make_scoring(ctx, m), true,
               [&](std::int64_t first_row, std::int64_t rows, const row_results& r) {
                   sink({first_row, rows, r.log_density, r.responsibilities, r.means});
               });
}

std::vector<double> log_density(const context& ctx, const factor_model& m, const data_source& data) {
    std::vector<double> result(data.rows());
    infer_rows(ctx, data, *make_scoring(ctx, m), false,
               [&](std::int64_t first_row, std::int64_t rows, const row_results& r) {
                   std::copy_n(r.log_density, rows, result.begin() + first_row);
               });
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
    return reconstruct_rows(ctx, data, *make_scoring(ctx, m));
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
