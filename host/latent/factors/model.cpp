// Linear-Gaussian models as values, and what they draw: Philox numbers as a pure function of (seed, row, number), so
// the same everywhere.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/latent/factors/values.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>

namespace elbo::latent {

namespace {

void check_component(const factor_model& m, std::int64_t k) {
    expects(k >= 0 && k < m.components(),
            [&] { return fmt::format("component = {}: expected 0 to {}", k, m.components() - 1); });
}

void check_noise(const factor_parameters& p, std::int64_t K) {
    const auto size = static_cast<std::int64_t>(p.noise.size());
    if (p.kind == factor_kind::ppca)
        gmm::check_size("noise", p.noise.size(), 1, "1");
    else if (p.kind == factor_kind::factor_analysis || size < K * p.dimensions)
        gmm::check_size("noise", p.noise.size(), p.dimensions, "d");
    else
        gmm::check_size("noise", p.noise.size(), K * p.dimensions, "k x d");
    gmm::check_finite("noise", p.noise);
    for (std::size_t i = 0; i < p.noise.size(); ++i)
        expects(p.noise[i] > 0,
                [&] { return fmt::format("noise[{}] = {}: expected a positive variance", i, p.noise[i]); });
}

} // namespace

void check_factor_sizes(factor_kind kind, std::int64_t d, std::int64_t L, std::int64_t components) {
    const std::int64_t least = kind == factor_kind::ppca ? 2 : 1;
    expects(d >= least,
            [&] { return fmt::format("dimensions = {}: expected at least {} for {}", d, least, to_string(kind)); });
    const std::int64_t most = kind == factor_kind::ppca ? d - 1 : d;
    expects(L >= 1 && L <= most, [&] {
        return fmt::format("latent = {}: expected 1 to {} for {} of {} dimensions", L, most, to_string(kind), d);
    });
    const bool many = kind == factor_kind::factor_mixture;
    expects(components >= 1 && (many || components == 1), [&] {
        return fmt::format("components = {}: expected {} for {}", components, many ? "at least 1" : "1",
                           to_string(kind));
    });
}

factor_model::factor_model(factor_parameters p) : p_(std::move(p)) {
    if (p_.weights.empty())
        p_.weights = {1.0};
    p_.weights = gmm::checked_weights(std::move(p_.weights));
    const std::int64_t d = p_.dimensions, K = components();
    check_factor_sizes(p_.kind, d, p_.latent, K);
    gmm::check_size("means", p_.means.size(), K * d, "k x d");
    gmm::check_size("loadings", p_.loadings.size(), K * d * p_.latent, "k x d x L");
    gmm::check_finite("means", p_.means);
    gmm::check_finite("loadings", p_.loadings);
    check_noise(p_, K);
}

bool factor_model::own_noise() const {
    return kind() == factor_kind::factor_mixture && components() > 1 &&
           static_cast<std::int64_t>(noise().size()) == components() * dimensions();
}

std::vector<double> factor_model::noise_of(std::int64_t k) const {
    check_component(*this, k);
    const std::int64_t d = dimensions();
    if (kind() == factor_kind::ppca)
        return std::vector<double>(d, noise().front());
    const auto first = noise().begin() + (own_noise() ? k * d : 0);
    return {first, first + d};
}

std::vector<double> factor_model::covariance(std::int64_t k) const {
    const std::vector<double> own = noise_of(k);
    const std::int64_t d = dimensions(), L = latent();
    const double* a = &loadings()[k * d * L];
    std::vector<double> result(d * d, 0);
    for (std::int64_t i = 0; i < d; ++i) {
        for (std::int64_t j = 0; j <= i; ++j) {
            for (std::int64_t l = 0; l < L; ++l)
                result[i * d + j] += a[i * L + l] * a[j * L + l];
            result[j * d + i] = result[i * d + j];
        }
        result[i * d + i] += own[i];
    }
    return result;
}

std::vector<double> factor_model::posterior_covariance(std::int64_t k) const {
    check_component(*this, k);
    const std::int64_t L = latent();
    const kernels::frame f{std::vector<double>(dimensions(), 0), std::vector<double>(dimensions(), 1)};
    const factor_operators o = operators_of(to_frame(*this, f));
    const auto first = o.posterior_factors.begin() + k * L * L;
    std::vector<double> inverse(first, first + L * L);
    const auto size = static_cast<lapack_int>(L);
    LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', size, inverse.data(), size);
    for (std::int64_t i = 0; i < L; ++i)
        for (std::int64_t j = 0; j < i; ++j)
            inverse[j * L + i] = inverse[i * L + j];
    return inverse;
}

std::int64_t factor_model::parameters() const {
    return parameter_count(kind(), components(), dimensions(), latent(), own_noise());
}

std::int64_t parameter_count(factor_kind kind, std::int64_t K, std::int64_t d, std::int64_t L, bool own_noise) {
    const std::int64_t turned = d * L - L * (L - 1) / 2, matrix = d * (d + 1) / 2;
    const std::int64_t noise = kind == factor_kind::ppca ? 1 : d;
    const std::int64_t covariances = K == 1 || own_noise ? K * std::min(turned + noise, matrix) : K * turned + noise;
    return K - 1 + K * d + std::min(covariances, K * matrix);
}

factor_sample sample(const context&, const factor_model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

factor_sample sample_rows(const factor_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions(), L = m.latent();
    const component_draw draw_component(m.weights());
    std::vector<double> deviations;
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (const double v : m.noise_of(k))
            deviations.push_back(std::sqrt(v));
    factor_sample s{std::vector<double>(n * d), std::vector<double>(n * L), std::vector<std::int32_t>(n)};
    for_independent_rows(n, d * (L + 1), [&](std::int64_t i) {
        const std::uint64_t row = first_row + i;
        const std::int64_t k = draw_component(seed, row);
        double *const x = &s.x[i * d], *const z = &s.z[i * L];
        draw_normals(seed, kernels::random_purpose::sample_noise, row, d, x);
        draw_normals(seed, kernels::random_purpose::sample_noise, row, L, z, (d + 1) / 2);
        for (std::int64_t j = 0; j < d; ++j) {
            double value = m.means()[k * d + j] + deviations[k * d + j] * x[j];
            for (std::int64_t l = 0; l < L; ++l)
                value += m.loadings()[(k * d + j) * L + l] * z[l];
            x[j] = value;
        }
        s.labels[i] = static_cast<std::int32_t>(k);
    });
    return s;
}

} // namespace elbo::latent
