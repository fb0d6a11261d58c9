// The sphere model: densities and posteriors against numerical integration, the M-step, recovery, the chain of the
// bound, degenerate data.
#include "elbo/latent/sphere.hpp"
#include "elbo/vae/infer.hpp"
#include "host/latent/sphere/step.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace elbo::latent {
namespace {

const context ctx = context::cpu(2);

data_source rows_of(const std::vector<double>& x, std::int64_t d) {
    return matrix_view<const double>(x.data(), static_cast<std::int64_t>(x.size()) / d, d);
}

/// A centre whose coordinates differ.
std::vector<double> some_centre(std::int64_t d) {
    std::vector<double> m(d);
    for (std::int64_t j = 0; j < d; ++j)
        m[j] = 0.5 + std::sin(static_cast<double>(j));
    return m;
}

sphere_model some_model(std::int64_t d, double radius, double sigma) {
    return sphere_model({some_centre(d), radius, sigma * sigma});
}

double mean_of(const std::vector<double>& v) {
    return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

// ∫ N(x; m + r u, σ²) du over the uniform distribution, and the mean of u along x − m, by quadrature over the angle θ
// between u and x − m, whose density is sin^{d−2} θ. Two points for d = 1.
struct integrals {
    double log_density, length;
};
integrals integrate(std::int64_t d, double distance, double radius, double noise) {
    const auto log_normal = [&](double cosine) {
        const double square = distance * distance - 2 * radius * distance * cosine + radius * radius;
        return -0.5 * static_cast<double>(d) * std::log(2 * M_PI * noise) - square / (2 * noise);
    };
    const double largest = log_normal(1);
    double mass = 0, density = 0, along = 0;
    const auto add = [&](double cosine, double weight) {
        mass += weight;
        density += weight * std::exp(log_normal(cosine) - largest);
        along += weight * cosine * std::exp(log_normal(cosine) - largest);
    };
    if (d == 1) {
        add(-1, 1);
        add(1, 1);
    } else {
        constexpr int cells = 20000;
        for (int i = 0; i <= cells; ++i) { // Simpson
            const double angle = M_PI * i / cells;
            const double weight = i == 0 || i == cells ? 1 : i % 2 == 1 ? 4 : 2;
            add(std::cos(angle), weight * std::pow(std::sin(angle), d - 2));
        }
    }
    return {largest + std::log(density / mass), along / density};
}

TEST(LatentSphere, DensityAndPosteriorAreTheIntegrals) {
    for (const std::int64_t d : {1, 2, 3, 4, 10})
        for (const double sigma : {0.05, 0.5, 3.0}) {
            SCOPED_TRACE(std::to_string(d) + " dimensions, sigma " + std::to_string(sigma));
            const sphere_model m = some_model(d, 1.5, sigma);
            const sphere_sample s = sample(ctx, m, 40, 7);
            const sphere_posterior p = posterior(ctx, m, rows_of(s.x, d));
            for (std::int64_t n = 0; n < 40; ++n) {
                std::vector<double> y(d);
                for (std::int64_t j = 0; j < d; ++j)
                    y[j] = s.x[n * d + j] - m.centre()[j];
                const double distance = std::sqrt(std::inner_product(y.begin(), y.end(), y.begin(), 0.0));
                const integrals want = integrate(d, distance, m.radius(), m.noise());
                // The peak has a width of at least κ^{-1/2} > 1/40, in which lie 150 cells of Simpson's rule: its error
                // is below 150⁻⁴ / 180 = 1e-11 of the integral.
                EXPECT_NEAR(p.log_density[n], want.log_density, 1e-9);
                EXPECT_NEAR(p.concentrations[n], 1.5 * distance / m.noise(), 1e-12 * p.concentrations[n]);
                for (std::int64_t j = 0; j < d; ++j)
                    EXPECT_NEAR(p.means[n * d + j], want.length * y[j] / distance, 1e-9);
            }
        }
}

// In three dimensions the mean of e^{κ cos θ} is sinh κ / κ.
TEST(LatentSphere, ThreeDimensionsHaveAClosedForm) {
    for (const double sigma : {10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4}) {
        const sphere_model m({{0, 0, 0}, 1, sigma * sigma});
        for (const double distance : {0.0, 1e-9, 1e-3, 0.5, 1.0, 1 + sigma, 2.0}) {
            const double kappa = distance / m.noise(), step = distance - 1;
            const double log_mean =
                kappa > 0 ? std::log(-std::expm1(-2 * kappa) / (2 * kappa)) : 0; // of e^{κ cos θ − κ}
            const double want = -1.5 * std::log(2 * M_PI * m.noise()) - step * step / (2 * m.noise()) + log_mean;
            const std::vector<double> x{0, distance, 0};
            // The square of ρ − r, of relative error 2⁻⁵² r / |ρ − r|, and a handful of roundings.
            const double bound = 1e-12 + 4e-16 * (std::abs(step) / m.noise() + std::abs(want));
            EXPECT_NEAR(log_density(ctx, m, rows_of(x, 3))[0], want, bound) << sigma << ", " << distance;
        }
    }
}

/// Σ w E_q[log p(x, u)] / W of docs/theory.md with q given by its means ū; the constant of p(u) left out.
double expected_log_joint(const std::vector<double>& x, const std::vector<double>& u, const std::vector<double>& w,
                          const sphere_parameters& p) {
    const auto d = static_cast<std::int64_t>(p.centre.size());
    double sum = 0, total = 0;
    for (std::size_t n = 0; n < w.size(); ++n) {
        double square = p.radius * p.radius;
        for (std::int64_t j = 0; j < d; ++j) {
            const double y = x[n * d + j] - p.centre[j];
            square += y * (y - 2 * p.radius * u[n * d + j]);
        }
        sum -= w[n] * (0.5 * static_cast<double>(d) * std::log(2 * M_PI * p.noise) + square / (2 * p.noise));
        total += w[n];
    }
    return sum / total;
}

TEST(LatentSphere, MStepIsTheMaximumOfTheExpectedLogJoint) {
    for (const std::int64_t d : {1, 2, 3, 10}) {
        SCOPED_TRACE(std::to_string(d) + " dimensions");
        constexpr std::int64_t rows = 300;
        const sphere_model truth = some_model(d, 2, 0.6), current = some_model(d, 1.2, 0.9);
        const std::vector<double> x = sample(ctx, truth, rows, 5).x, w = test::quarter_weights(rows);
        const auto engine = kernels::make_sphere_engine(context::reference(), d);
        engine->reserve(rows, true);
        engine->load({matrix_view<const double>(x.data(), rows, d), matrix_view<const double>(w.data(), rows, 1)},
                     test::identity_frame(d), 0);
        const kernels::sphere_values from{current.centre(), current.radius(), current.noise()};
        engine->set_parameters(from.pass());
        engine->clear_sums({1e6, 1e6});
        engine->accumulate(0, rows);
        const sphere_step step = maximize(from, engine->sums(), 1e-12);
        const std::vector<double> u = posterior(ctx, current, rows_of(x, d)).means;

        const sphere_parameters best{step.next.centre, step.next.radius, step.next.noise};
        // The difference quotient where `move` adds a number to a parameter.
        const auto slope = [&](const auto& move) {
            constexpr double h = 1e-5;
            sphere_parameters up = best, down = best;
            move(up, h);
            move(down, -h);
            return (expected_log_joint(x, u, w, up) - expected_log_joint(x, u, w, down)) / (2 * h);
        };
        // Rounding 1e-15 · 20 nats / 1e-5, and h² times a third derivative of the order of 10.
        for (std::int64_t j = 0; j < d; ++j)
            EXPECT_NEAR(slope([j](auto& p, double h) { p.centre[j] += h; }), 0, 5e-9);
        EXPECT_NEAR(slope([](auto& p, double h) { p.radius += h; }), 0, 5e-9);
        EXPECT_NEAR(slope([](auto& p, double h) { p.noise *= 1 + h; }), 0, 5e-9);
        // J = E[log p(x, u)] + H(q), tight before the step.
        const sphere_parameters before = current.values();
        EXPECT_NEAR(expected_log_joint(x, u, w, before) + step.entropy, step.log_likelihood, 1e-12);
        EXPECT_NEAR(expected_log_joint(x, u, w, best) + step.entropy, step.elbo_after, 1e-12);
    }
}

void expect_chain(const sphere_result& r) {
    ASSERT_FALSE(r.trace.empty());
    EXPECT_EQ(r.iterations, static_cast<std::int64_t>(r.trace.size()));
    for (std::size_t t = 0; t < r.trace.size(); ++t) {
        // Means of terms that reach some 10 nats.
        const double noise = 1e-12 * (1 + std::abs(r.trace[t].log_likelihood));
        EXPECT_LE(r.trace[t].log_likelihood, r.trace[t].elbo_after_m_step + noise) << t;
        EXPECT_LE(r.trace[t].entropy, 1e-12);
        if (t + 1 < r.trace.size()) {
            EXPECT_LE(r.trace[t].elbo_after_m_step, r.trace[t + 1].log_likelihood + noise) << t;
        }
    }
    EXPECT_EQ(r.log_likelihood, r.trace.back().log_likelihood);
}

TEST(LatentSphere, RecoversWhatWasPlanted) {
    constexpr std::int64_t rows = 4000;
    constexpr double radius = 2, sigma = 0.1;
    for (const std::int64_t d : {1, 2, 3, 10, 100}) {
        SCOPED_TRACE(std::to_string(d) + " dimensions");
        const sphere_model truth = some_model(d, radius, sigma);
        const std::vector<double> x = sample(ctx, truth, rows, 11).x;
        const sphere_result r = fit(ctx, rows_of(x, d), {});
        EXPECT_EQ(r.stopped, gmm::stop_reason::converged);
        EXPECT_TRUE(r.events.empty());
        expect_chain(r);
        EXPECT_GE(r.log_likelihood, score(ctx, truth, rows_of(x, d)).log_likelihood - 1e-7);
        // ρ² has mean r² + dσ² and variance V = 4r²σ² + 2dσ⁴: σ² is known from V, r² from the mean less dσ², a
        // coordinate of the centre from the d-th part of the samples. Five standard errors.
        const double D = static_cast<double>(d), s2 = sigma * sigma;
        const double V = 4 * radius * radius * s2 + 2 * D * s2 * s2;
        const double noise_error = V * std::sqrt(2.0 / rows) / (4 * radius * radius);
        EXPECT_NEAR(r.model.noise(), s2, 5 * noise_error);
        EXPECT_NEAR(r.model.radius(), radius, 5 * (std::sqrt(V / rows) + D * noise_error) / (2 * radius));
        for (std::int64_t j = 0; j < d; ++j)
            EXPECT_NEAR(r.model.centre()[j], truth.centre()[j], 5 * std::sqrt(D * V / rows) / (2 * radius));
    }
}

TEST(LatentSphere, AccelerationReachesTheSameMaximumSooner) {
    for (const double sigma : {0.02, 0.5}) {
        const std::vector<double> x = sample(ctx, some_model(30, 2, sigma), 1000, 3).x;
        sphere_options plain;
        plain.accelerate = false;
        plain.tolerance = 1e-12;
        sphere_options fast = plain;
        fast.accelerate = true;
        const sphere_result slow = fit(ctx, rows_of(x, 30), plain), quick = fit(ctx, rows_of(x, 30), fast);
        expect_chain(slow);
        expect_chain(quick);
        EXPECT_LT(quick.iterations, slow.iterations / 2);
        EXPECT_NEAR(quick.log_likelihood, slow.log_likelihood, 1e-9);
        // Along the ridge r² + d σ² = const the curvature in r/σ is 0.005 for the larger σ (second differences of log
        // p), and more for the smaller: 1e-9 nats are √(2e-9 / 0.005) = 6.3e-4 of r/σ.
        EXPECT_NEAR(quick.model.radius(), slow.model.radius(), 6.4e-4 * sigma);
    }
}

TEST(LatentSphere, WeightsAreRepeatedRowsAndZeroIsNone) {
    constexpr std::int64_t d = 3, rows = 500;
    const std::vector<double> x = sample(ctx, some_model(d, 2, 0.3), rows, 4).x;
    std::vector<double> weights, repeated;
    for (std::int64_t n = 0; n < rows; ++n) {
        weights.push_back(static_cast<double>(n % 4));
        for (std::int64_t i = 0; i < n % 4; ++i)
            repeated.insert(repeated.end(), x.begin() + n * d, x.begin() + (n + 1) * d);
    }
    sphere_options o;
    o.max_iterations = 20;
    o.tolerance = 0;
    o.accelerate = false; // whether a step counts may depend on the last bit
    const sphere_result plain = fit(ctx, rows_of(repeated, d), o);
    o.weights = weights;
    const sphere_result weighted = fit(ctx, rows_of(x, d), o);
    // The same sums in another order.
    EXPECT_NEAR(weighted.total_log_likelihood, plain.total_log_likelihood, 1e-9);
    EXPECT_NEAR(weighted.total_weight, plain.total_weight, 1e-12);
    EXPECT_NEAR(weighted.bic, plain.bic, 1e-9);
    EXPECT_NEAR(weighted.model.radius(), plain.model.radius(), 1e-11);
    EXPECT_NEAR(weighted.model.noise(), plain.model.noise(), 1e-11);
    const gmm::score_result s = score(ctx, weighted.model, rows_of(x, d), weights);
    EXPECT_NEAR(s.total_log_likelihood, weighted.total_log_likelihood, 1e-9);
    EXPECT_EQ(s.icl, s.bic);
}

TEST(LatentSphere, AnOffsetOrAScaleChangesNothingElse) {
    constexpr std::int64_t d = 3, rows = 1000;
    const std::vector<double> x = sample(ctx, some_model(d, 2, 0.01), rows, 6).x;
    std::vector<double> moved = x;
    for (double& v : moved)
        v = 4 * v + 1e6;
    const sphere_result a = fit(ctx, rows_of(x, d), {}), b = fit(ctx, rows_of(moved, d), {});
    // Numbers of 1e6 are rounded to 1e-10, a 4e-9th of σ = 0.04: so much a nat, and a thousand of them average out.
    EXPECT_NEAR(a.log_likelihood - d * std::log(4), b.log_likelihood, 1e-8);
    EXPECT_NEAR(4 * a.model.radius(), b.model.radius(), 1e-8);
    EXPECT_NEAR(16 * a.model.noise(), b.model.noise(), 1e-9);
    for (std::int64_t j = 0; j < d; ++j)
        EXPECT_NEAR(4 * a.model.centre()[j] + 1e6, b.model.centre()[j], 1e-8);
}

TEST(LatentSphere, AThousandDimensionsAndEveryConcentration) {
    constexpr std::int64_t rows = 60;
    for (const std::int64_t d : {1, 2, 3, 1000})
        for (const double sigma : {1e2, 1.0, 1e-2, 1e-4}) {
            SCOPED_TRACE(std::to_string(d) + " dimensions, sigma " + std::to_string(sigma));
            const sphere_model m = some_model(d, 1, sigma);
            const std::vector<double> x = sample(ctx, m, rows, 8).x;
            const sphere_posterior p = posterior(ctx, m, rows_of(x, d));
            for (std::int64_t n = 0; n < rows; ++n) {
                EXPECT_TRUE(std::isfinite(p.log_density[n]));
                double square = 0;
                for (std::int64_t j = 0; j < d; ++j)
                    square += p.means[n * d + j] * p.means[n * d + j];
                EXPECT_LE(square, 1 + 1e-12);
            }
            sphere_options o;
            o.max_iterations = 30;
            const sphere_result r = fit(ctx, rows_of(x, d), o);
            expect_chain(r);
            EXPECT_TRUE(std::isfinite(r.model.noise()));
        }
}

TEST(LatentSphere, PointsExactlyOnASphereStopAtTheFloor) {
    for (const std::int64_t d : {1, 2, 5}) {
        SCOPED_TRACE(std::to_string(d) + " dimensions");
        const std::vector<double> centre = some_centre(d), u = sample(ctx, some_model(d, 1, 1), 200, 2).u;
        std::vector<double> x(u.size());
        for (std::size_t i = 0; i < u.size(); ++i)
            x[i] = centre[i % d] + 3 * u[i];
        const sphere_result r = fit(ctx, rows_of(x, d), {});
        expect_chain(r);
        ASSERT_EQ(r.events.size(), 1u);
        EXPECT_EQ(r.events[0].what, sphere_event::kind::noise_floor);
        // Mean variance of the columns 9/d; the floor is 1e-12 of it. The centre errs by the order of σ.
        EXPECT_NEAR(r.model.radius(), 3, 1e-4);
        EXPECT_NEAR(r.model.noise(), 9e-12 / static_cast<double>(d), 3e-12 / static_cast<double>(d));
        for (std::int64_t j = 0; j < d; ++j)
            EXPECT_NEAR(r.model.centre()[j], centre[j], 1e-4);
    }
}

TEST(LatentSphere, DataThatTellNothingOfARadius) {
    const std::vector<double> one_row{3, 4};
    const sphere_result single = fit(ctx, rows_of(one_row, 2), {});
    EXPECT_TRUE(std::isfinite(single.log_likelihood));
    EXPECT_NEAR(single.model.centre()[0], 3, 1e-5);
    EXPECT_NEAR(single.model.centre()[1], 4, 1e-5);

    // A cloud without a hole: the maximum is near r = 0, and no better than the Gaussian by more than r can win.
    std::vector<double> cloud;
    for (std::int64_t i = 0; i < 4000; ++i)
        cloud.push_back(test::normal(21, i));
    const sphere_result r = fit(ctx, rows_of(cloud, 2), {});
    expect_chain(r);
    const double gaussian =
        -1 - std::log(2 * M_PI) - std::log(r.model.noise() + r.model.radius() * r.model.radius() / 2);
    EXPECT_NEAR(r.log_likelihood, gaussian, 0.01);

    // Started far away, all directions are the same.
    sphere_options o;
    o.start_model = sphere_model({{1e9, 0}, 1e9, 1});
    const sphere_result one_sided = fit(ctx, rows_of(cloud, 2), o);
    expect_chain(one_sided);
    ASSERT_EQ(one_sided.events.size(), 1u);
    EXPECT_EQ(one_sided.events[0].what, sphere_event::kind::one_sided);
    EXPECT_EQ(to_string(one_sided.events[0].what), "one_sided");
}

TEST(LatentSphere, RestartsFindTheCentreOfAnArc) {
    // A sixth of a circle: about the mean of the data there is no circle.
    std::vector<double> x;
    for (std::int64_t n = 0; n < 600; ++n) {
        const double angle = M_PI / 3 * test::uniform(31, n);
        x.push_back(5 * std::cos(angle) + 0.02 * test::normal(32, 2 * n));
        x.push_back(5 * std::sin(angle) + 0.02 * test::normal(32, 2 * n + 1));
    }
    sphere_options o;
    o.restarts = 8;
    const sphere_result r = fit(ctx, rows_of(x, 2), o), again = fit(ctx, rows_of(x, 2), o);
    EXPECT_EQ(r.model, again.model);
    expect_chain(r);
    o.restarts = 1;
    EXPECT_GE(r.log_likelihood, fit(ctx, rows_of(x, 2), o).log_likelihood);
}

// A network with the sphere as decoder has a bound below the exact log p(x), whatever its encoder.
TEST(LatentSphere, ANetworkStaysBelow) {
    constexpr std::int64_t rows = 200;
    vae::architecture a;
    a.dimensions = a.latent = 3;
    a.encoder = {8};
    a.decoder = {};
    a.decoder_form = vae::decoder_kind::sphere;
    a.likelihood.family = vae::likelihood_family::gaussian;
    a.likelihood.sigma = 0.7;
    const vae::model network(a, 3);
    const kernels::vae_layout layout = kernels::make_layout(a);
    const auto centre = network.parameters().begin() + layout.sphere_centre;
    const double sigma = network.sigma().front();
    const sphere_model exact({{centre, centre + 3}, network.parameters()[layout.sphere_radius], sigma * sigma});
    const std::vector<double> x = sample(ctx, exact, rows, 5).x;
    EXPECT_LT(mean_of(vae::evaluate_rows(ctx, network, rows_of(x, 3), {}).elbo),
              mean_of(log_density(ctx, exact, rows_of(x, 3))));
}

} // namespace
} // namespace elbo::latent
