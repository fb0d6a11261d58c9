// The sphere model as a value, what it draws, and what it says about data.
#include "elbo/latent/sphere.hpp"

#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/fit_fields.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/latent/infer.hpp"
#include "host/latent/sphere/step.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"

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

/// z/‖z‖ in place. The numbers of normal_pair are never all 0: log of a number in (0, 1) is not 0, nor is a sine or
/// cosine beside one.
void normalize(double* z, std::int64_t d) {
    double square = 0;
    for (std::int64_t j = 0; j < d; ++j)
        square += z[j] * z[j];
    for (std::int64_t j = 0; j < d; ++j)
        z[j] /= std::sqrt(square);
}

} // namespace

sphere_model::sphere_model(sphere_parameters p) : p_(std::move(p)) {
    expects(!p_.centre.empty(), "centre is empty: expected at least one number");
    gmm::check_finite("centre", p_.centre);
    expects("radius", p_.radius, at_least(0));
    expects("noise", p_.noise, rule{.least = 0, .above = true, .expected = "a finite positive variance"});
    expects(std::sqrt(p_.noise) >= 1e-12 * p_.radius, [&] {
        return fmt::format("noise = {}: expected a standard deviation of at least 1e-12 of the radius {}", p_.noise,
                           p_.radius);
    });
}

sphere_sample sample(const context&, const sphere_model& m, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    return sample_rows(m, 0, n, seed);
}

sphere_sample sample_rows(const sphere_model& m, std::int64_t first_row, std::int64_t n, std::uint64_t seed) {
    const std::int64_t d = m.dimensions();
    const double sigma = std::sqrt(m.noise());
    sphere_sample result{std::vector<double>(n * d), std::vector<double>(n * d)};
    for_independent_rows(n, 2 * d, [&](std::int64_t i) {
        double *u = &result.u[i * d], *x = &result.x[i * d];
        draw_normals(seed, random_purpose::sample_component, first_row + i, d, u);
        normalize(u, d);
        draw_normals(seed, random_purpose::sample_noise, first_row + i, d, x);
        for (std::int64_t j = 0; j < d; ++j)
            x[j] = m.centre()[j] + m.radius() * u[j] + sigma * x[j];
    });
    return result;
}

scoring<sphere_engine> make_scoring(const context& ctx, const sphere_model& m) {
    const frame f = frame_of(m);
    sphere_engine::parameters p = to_frame(m, f).pass();
    p.place = m.centre();
    p.reach = m.radius();
    auto engine = make_sphere_engine(ctx, m.dimensions());
    engine->set_parameters(p);
    return {std::move(engine), f, 3 + m.dimensions()};
}

void infer(const context& ctx, const sphere_model& m, const data_source& data,
           const std::function<void(const sphere_batch&)>& sink) {
    auto all = scored(ctx, m, data);
    const std::int64_t d = m.dimensions(), most = all.most_rows();
    std::vector<double> densities(most), means(most * d), concentrations(most);
    all.infer(
        [&](std::int64_t n) {
            return row_results{{densities.data(), n, 1}, {}, {means.data(), n, d}, {concentrations.data(), n, 1}};
        },
        [&](std::int64_t first_row, std::int64_t n) {
            sink({first_row, n, densities.data(), means.data(), concentrations.data()});
        });
}

std::vector<double> log_density(const context& ctx, const sphere_model& m, const data_source& data) {
    return log_density_of(ctx, m, data);
}

sphere_posterior posterior(const context& ctx, const sphere_model& m, const data_source& data) {
    const std::int64_t d = m.dimensions(), n = data.rows();
    sphere_posterior p{std::vector<double>(n), std::vector<double>(n * d), std::vector<double>(n)};
    scored(ctx, m, data)
        .infer({{p.log_density.data(), n, 1}, {}, {p.means.data(), n, d}, {p.concentrations.data(), n, 1}});
    return p;
}

std::vector<double> reconstruct(const context& ctx, const sphere_model& m, const data_source& data) {
    return reconstruct_of(ctx, m, data);
}

gmm::score_result score(const context& ctx, const sphere_model& m, const data_source& data,
                        const gmm::sample_weights& weights) {
    check_width(data, m.dimensions());
    sphere_rows rows(ctx, data, weights, 1); // one pass: the rows need not stay
    const std::vector<double> sums = rows.sums(to_frame(m, rows.frame()));
    const double* scalars = sums.data() + 2 * m.dimensions();
    gmm::score_result r;
    set_likelihood(r, m, scalars[sphere_log_density] / scalars[sphere_weight] - gmm::log_scale(rows.frame()),
                   rows.summary(), rows.negligible());
    r.icl = r.bic;
    return r;
}

} // namespace elbo::latent
