// Models with a Gaussian posterior (latent_engine.hpp) on the CPU: blocks of rows, matrix products by BLAS.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/cpu/latent/row_engine.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>

namespace elbo::kernels::cpu {

namespace {

/// Σ_j δ_j² p_j.
double weighted_square(const double* delta, const double* precisions, std::int64_t d) {
    return sum_of_terms(d, [&](std::int64_t j) { return delta[j] * delta[j] * precisions[j]; });
}

double square(const double* c, std::int64_t count) {
    double sum = 0;
    for (std::int64_t l = 0; l < count; ++l)
        sum += c[l] * c[l];
    return sum;
}

/// Scratch memory of one thread for blocks of rows, and the partial sums of one unit: a Block of row_engine.hpp.
class latent_block {
public:
    explicit latent_block(const latent_shape& s)
        : shape_(s), delta_(rows(s.dimensions) * s.dimensions),
          projected_(rows(s.dimensions) * s.components * s.latent), weighted_(rows(s.dimensions) * s.latent),
          log_joint_(rows(s.dimensions) * s.components), responsibilities_(rows(s.dimensions) * s.components),
          log_density_(rows(s.dimensions)), partial_(sum_count(s)) {}
    static std::int64_t bytes(const latent_shape& s) {
        const std::int64_t row_numbers = s.dimensions + (s.components + 1) * s.latent + 2 * s.components + 1;
        return 8 * (rows(s.dimensions) * row_numbers + sum_count(s));
    }

    /// Rows of a block: differences that fit in a second-level cache, but enough rows for products to be efficient.
    static std::int64_t rows(std::int64_t dimensions) {
        constexpr std::int64_t numbers = std::int64_t(1) << 16;
        return std::clamp<std::int64_t>(numbers / dimensions / 16 * 16, 64, 512);
    }

    void add(const latent_parameters& p, const double* x, const double* weights, std::int64_t rows) {
        find_posterior(p, x, rows);
        add_statistics(p, x, weights);
    }
    std::int64_t write(const latent_parameters& p, const double* x, std::int64_t rows, const row_results& to) {
        const std::int64_t K = shape_.components, L = shape_.latent;
        find_posterior(p, x, rows);
        std::int64_t far = -1;
        for (std::int64_t n = rows - 1; n >= 0; --n) {
            if (!std::isfinite(log_density_[n]))
                far = n;
            if (to.log_density.data)
                to.log_density(n, 0) = log_density_[n] - to.shift;
            if (to.reconstruction.data)
                std::fill_n(to.reconstruction.row(n), shape_.dimensions, 0.0);
            for (std::int64_t k = 0; to.responsibilities.data && k < K; ++k)
                to.responsibilities(n, k) = responsibilities_[k * rows + n];
        }
        for (std::int64_t k = 0; (to.means.data || to.reconstruction.data) && k < K; ++k) {
            find_means(p, k);
            for (std::int64_t n = 0; to.means.data && n < rows; ++n)
                std::copy_n(projected_.data() + (k * rows + n) * L, L, to.means.row(n) + k * L);
            if (to.reconstruction.data)
                reconstruct(p, k, to.reconstruction);
        }
        return far;
    }

    void clear_partial() { std::fill_n(partial_.data(), partial_.size(), 0.0); }
    const double* partial() const { return partial_.data(); }

private:
    /// log p(x̃, k) − offsets and all that follows from it for `rows` rows of x without gaps.
    void find_posterior(const latent_parameters& p, const double* x, std::int64_t rows) {
        const std::int64_t d = shape_.dimensions, L = shape_.latent, K = shape_.components;
        const auto columns = static_cast<int>(L), size = static_cast<int>(d);
        rows_ = rows;
        for (std::int64_t k = 0; k < K; ++k) {
            subtract_mean(p, k, x);
            double* c = projected_.data() + k * rows * L;
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows), columns, size, 1,
                        delta_.data(), size, &p.projections[k * d * L], columns, 0, c, columns);
            for (std::int64_t n = 0; n < rows; ++n)
                log_joint_[k * rows + n] =
                    p.offsets[k] -
                    (weighted_square(delta_.data() + n * d, &p.precisions[k * d], d) - square(c + n * L, L)) / 2;
        }
        for (std::int64_t n = 0; n < rows; ++n) {
            double largest = log_joint_[n], sum = 0;
            for (std::int64_t k = 1; k < K; ++k)
                largest = std::max(largest, log_joint_[k * rows + n]);
            for (std::int64_t k = 0; k < K; ++k)
                sum += std::exp(log_joint_[k * rows + n] - largest);
            log_density_[n] = largest + std::log(sum);
            for (std::int64_t k = 0; k < K; ++k)
                responsibilities_[k * rows + n] = std::exp(log_joint_[k * rows + n] - log_density_[n]);
        }
    }

    /// Adds the statistics of the rows of the last find_posterior.
    void add_statistics(const latent_parameters& p, const double* x, const double* weights) {
        double* const scalars = partial_.data() + partial_.size() - scalar_count;
        for (std::int64_t n = 0; n < rows_; ++n) {
            const double w = weights ? weights[n] : 1;
            scalars[scalar_log_likelihood] += w * log_density_[n];
            scalars[scalar_weight] += w;
            for (std::int64_t k = 0; k < shape_.components; ++k) {
                const double r = responsibilities_[k * rows_ + n];
                if (r > 0)
                    scalars[scalar_entropy] -= w * r * (log_joint_[k * rows_ + n] - log_density_[n]);
            }
        }
        for (std::int64_t k = 0; k < shape_.components; ++k) {
            if (centred_ != k)
                subtract_mean(p, k, x);
            add_component(p, k, weights);
        }
        centred_ = -1;
    }

    void subtract_mean(const latent_parameters& p, std::int64_t k, const double* x) {
        const std::int64_t d = shape_.dimensions;
        const double* mean = &p.means[k * d];
        for (std::int64_t n = 0; n < rows_; ++n)
            for (std::int64_t j = 0; j < d; ++j)
                delta_[n * d + j] = x[n * d + j] - mean[j];
        centred_ = k;
    }

    /// E[z | x, k] = R⁻ᵀ c in place of c, for the rows of the last find_posterior.
    void find_means(const latent_parameters& p, std::int64_t k) {
        const auto columns = static_cast<int>(shape_.latent);
        // As row vectors they are multiplied by R⁻¹ from the right.
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, static_cast<int>(rows_), columns,
                    1, &p.posterior_factors[k * columns * columns], columns, projected_.data() + k * rows_ * columns,
                    columns);
    }
    /// Adds r_k (μ_k + A_k E[z|x, k]).
    void reconstruct(const latent_parameters& p, std::int64_t k, const matrix_view<double>& to) {
        const std::int64_t d = shape_.dimensions, L = shape_.latent;
        const auto columns = static_cast<int>(L), size = static_cast<int>(d);
        for (std::int64_t n = 0; n < rows_; ++n)
            std::copy_n(&p.centres[k * d], d, delta_.data() + n * d);
        centred_ = -1;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows_), size, columns, 1,
                    projected_.data() + k * rows_ * L, columns, &p.loadings[k * d * L], columns, 1, delta_.data(),
                    size);
        for (std::int64_t n = 0; n < rows_; ++n)
            for (std::int64_t j = 0; j < d; ++j)
                to(n, j) += responsibilities_[k * rows_ + n] * delta_[n * d + j];
    }

    void add_component(const latent_parameters& p, std::int64_t k, const double* weights) {
        const std::int64_t d = shape_.dimensions, L = shape_.latent;
        double* const sums = partial_.data() + k * latent_statistics_size(p.shape);
        double *const first = sums + latent_first_moments, *const squares = sums + latent_squares(shape_);
        const double* c = projected_.data() + k * rows_ * L;
        for (std::int64_t n = 0; n < rows_; ++n) {
            const double wr = (weights ? weights[n] : 1) * responsibilities_[k * rows_ + n];
            const double* delta = delta_.data() + n * d;
            sums[0] += wr;
            for (std::int64_t l = 0; l < L; ++l)
                weighted_[n * L + l] = wr * c[n * L + l];
            if (!(wr > 0))
                continue;
            for (std::int64_t j = 0; j < d; ++j) {
                first[j] += wr * delta[j];
                squares[j] += wr * delta[j] * delta[j];
            }
        }
        const auto columns = static_cast<int>(L), size = static_cast<int>(d);
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, columns, static_cast<int>(rows_), 1, delta_.data(),
                    size, weighted_.data(), columns, 1, sums + latent_products(shape_), columns);
    }

    latent_shape shape_;
    std::int64_t rows_ = 0;           ///< of the last find_posterior
    std::int64_t centred_ = -1;       ///< component that delta_ belongs to
    aligned_array<double> delta_;     ///< [rows x d] x̃ − μ̃_k of one component, or its reconstructions
    aligned_array<double> projected_; ///< [K][rows x L]
    aligned_array<double> weighted_;  ///< [rows x L] w r c
    aligned_array<double> log_joint_, responsibilities_; ///< [K][rows]
    aligned_array<double> log_density_;                  ///< [rows]
    aligned_array<double> partial_;                      ///< [sum_count]
};

} // namespace

std::unique_ptr<latent_engine> make_latent(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu_row_engine<latent_parameters, latent_block>>(ctx, dimensions);
}

} // namespace elbo::kernels::cpu
