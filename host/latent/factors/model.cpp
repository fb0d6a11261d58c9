// Linear-Gaussian models as values, what they say about data, and what they draw: Philox numbers as a pure function of
// (seed, row, number), so the same everywhere.
#include "elbo/latent/factors.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/fit_fields.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/latent/factors/values.hpp"
#include "host/latent/infer.hpp"
#include "host/latent/rows.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>

namespace elbo::latent {

using namespace kernels;

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
    const frame f{std::vector<double>(dimensions(), 0), std::vector<double>(dimensions(), 1)};
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
        draw_normals(seed, random_purpose::sample_noise, row, d, x);
        draw_normals(seed, random_purpose::sample_noise, row, L, z, (d + 1) / 2);
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
