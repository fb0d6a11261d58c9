// Models with a Gaussian posterior (latent_engine.hpp) in the reference back end.
#include "kernels/contract/latent_engine.hpp"

#include "kernels/reference/latent/row_engine.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::reference {

namespace {

class reference_latent_model {
public:
    reference_latent_model() = default;
    explicit reference_latent_model(const latent_parameters& p)
        : p_(p), log_joint_(p.shape.components), responsibilities_(p.shape.components),
          projected_(p.shape.components * p.shape.latent) {}

    void add(const double* x, double w, double* partial) {
        const double lse = find_posterior(x);
        double* const scalars = partial + sum_count(p_.shape) - scalar_count;
        scalars[scalar_log_likelihood] += w * lse;
        scalars[scalar_weight] += w;
        for (std::int64_t k = 0; k < p_.shape.components; ++k) {
            const double r = responsibilities_[k];
            if (r > 0)
                scalars[scalar_entropy] -= w * r * (log_joint_[k] - lse);
            add_component(k, x, w * r, partial + k * latent_statistics_size(p_.shape));
        }
    }

    double write(const double* x, std::int64_t i, const row_results& to) {
        const double lse = find_posterior(x);
        if (to.log_density.data)
            to.log_density(i, 0) = lse - to.shift;
        if (to.responsibilities.data)
            std::ranges::copy(responsibilities_, to.responsibilities.row(i));
        if (to.means.data || to.reconstruction.data)
            for (std::int64_t k = 0; k < p_.shape.components; ++k)
                find_mean(k);
        if (to.means.data)
            std::ranges::copy(projected_, to.means.row(i));
        for (std::int64_t j = 0; to.reconstruction.data && j < p_.shape.dimensions; ++j)
            to.reconstruction(i, j) = reconstruction(j);
        return lse;
    }

private:
    /// E[z | x, k] = R⁻ᵀ c in place of c.
    void find_mean(std::int64_t k) {
        const std::int64_t L = p_.shape.latent;
        double* z = projected_.data() + k * L;
        for (std::int64_t l = L - 1; l >= 0; --l) {
            for (std::int64_t m = l + 1; m < L; ++m)
                z[l] -= p_.posterior_factors[(k * L + m) * L + l] * z[m];
            z[l] /= p_.posterior_factors[(k * L + l) * L + l];
        }
    }
    double reconstruction(std::int64_t j) const {
        const std::int64_t d = p_.shape.dimensions, L = p_.shape.latent;
        double sum = 0;
        for (std::int64_t k = 0; k < p_.shape.components; ++k) {
            double x = p_.centres[k * d + j];
            for (std::int64_t l = 0; l < L; ++l)
                x += p_.loadings[(k * d + j) * L + l] * projected_[k * L + l];
            sum += responsibilities_[k] * x;
        }
        return sum;
    }
    /// offset_k − ½ (Σ_j δ_j² / ψ_j − ‖c‖²), and c.
    double log_joint(std::int64_t k, const double* x) {
        const std::int64_t d = p_.shape.dimensions, L = p_.shape.latent;
        double* c = projected_.data() + k * L;
        std::fill_n(c, L, 0.0);
        double square = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            const double delta = x[j] - p_.means[k * d + j];
            square += delta * delta * p_.precisions[k * d + j];
            for (std::int64_t l = 0; l < L; ++l)
                c[l] += p_.projections[(k * d + j) * L + l] * delta;
        }
        for (std::int64_t l = 0; l < L; ++l)
            square -= c[l] * c[l];
        return p_.offsets[k] - square / 2;
    }

    /// log p(x̃); leaves p(k | x̃) and c_k.
    double find_posterior(const double* x) {
        for (std::int64_t k = 0; k < p_.shape.components; ++k)
            log_joint_[k] = log_joint(k, x);
        const double largest = std::ranges::max(log_joint_);
        double sum = 0;
        for (const double lp : log_joint_)
            sum += std::exp(lp - largest);
        const double lse = largest + std::log(sum);
        for (std::int64_t k = 0; k < p_.shape.components; ++k)
            responsibilities_[k] = std::exp(log_joint_[k] - lse);
        return lse;
    }

    void add_component(std::int64_t k, const double* x, double wr, double* sums) const {
        const std::int64_t d = p_.shape.dimensions, L = p_.shape.latent;
        const double* c = projected_.data() + k * L;
        sums[0] += wr;
        for (std::int64_t j = 0; j < d; ++j) {
            const double delta = x[j] - p_.means[k * d + j];
            sums[latent_first_moments + j] += wr * delta;
            sums[latent_squares(p_.shape) + j] += wr * delta * delta;
            for (std::int64_t l = 0; l < L; ++l)
                sums[latent_products(p_.shape) + j * L + l] += wr * delta * c[l];
        }
    }

    latent_parameters p_;
    std::vector<double> log_joint_, responsibilities_, projected_; ///< of one row: [K], [K], [K x L]
};

} // namespace

std::unique_ptr<latent_engine> make_latent(const context&, std::int64_t dimensions) {
    return std::make_unique<reference_row_engine<latent_parameters, reference_latent_model>>(dimensions);
}

} // namespace elbo::kernels::reference
