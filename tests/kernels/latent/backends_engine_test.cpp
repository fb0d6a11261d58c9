// The engines of linear-Gaussian latent variables against the reference, over shapes at and beside the edges of tiles,
// chunks and units.
#include "kernels/contract/latent_engine.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/data.hpp"
#include "tests/support/gmm/cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace elbo {
namespace {

using namespace kernels;

struct engine_case {
    latent_shape shape;
    std::int64_t rows;
    bool weighted = false;
};

std::string describe(const engine_case& c) {
    return "N=" + std::to_string(c.rows) + " d=" + std::to_string(c.shape.dimensions) +
           " K=" + std::to_string(c.shape.components) + " L=" + std::to_string(c.shape.latent) +
           (c.weighted ? " weighted" : "");
}

/// Numbers in (−1, 1).
std::vector<double> numbers(std::int64_t count, std::uint64_t seed) {
    std::vector<double> values(count);
    for (std::int64_t i = 0; i < count; ++i)
        values[i] = 2 * test::uniform(seed, i) - 1;
    return values;
}

/// Any values will do: an engine does not ask whether W belongs to a covariance. W is small enough that Σ δ²/ψ stays
/// above ‖c‖².
latent_parameters make_parameters(const latent_shape& s) {
    latent_parameters p{s, numbers(s.components, 1), numbers(s.components * s.dimensions, 2),
                        numbers(s.components * s.dimensions, 3), numbers(s.components * s.dimensions * s.latent, 4)};
    for (double& v : p.precisions)
        v = 1.5 + v;
    const double scale = 0.5 / std::sqrt(static_cast<double>(s.dimensions * s.latent));
    for (double& v : p.projections)
        v *= scale;
    p.posterior_factors.assign(s.components * s.latent * s.latent, 0); // R = I: the means are c
    for (std::int64_t i = 0; i < s.components * s.latent; ++i)
        p.posterior_factors[i * s.latent + i % s.latent] = 1;
    p.loadings = numbers(s.components * s.dimensions * s.latent, 5);
    p.centres = numbers(s.components * s.dimensions, 6);
    return p;
}

struct case_data {
    std::vector<double> x, weights;
    input_rows input(const engine_case& c) const {
        input_rows in{matrix_view<const double>(x.data(), c.rows, c.shape.dimensions), {}, 1};
        if (c.weighted)
            in.weights = matrix_view<const double>(weights.data(), c.rows, 1);
        return in;
    }
};

case_data make_data(const engine_case& c) {
    case_data data{numbers(c.rows * c.shape.dimensions, 7), {}};
    for (double& v : data.x)
        v *= 3;
    if (c.weighted)
        data.weights = test::quarter_weights(c.rows);
    return data;
}

void fill(latent_engine& engine, const engine_case& c, const case_data& data) {
    engine.reserve(c.rows, c.weighted);
    engine.load(data.input(c), test::identity_frame(c.shape.dimensions), 0);
    engine.set_parameters(make_parameters(c.shape));
    engine.clear_sums({0x1p40, 0x1p60});
}

/// The reference in plain loops, with bounds for float64 engines that sum in any order: a sum of n products is off by
/// at most (n + 1) u times the sum of their magnitudes (Higham, Accuracy and Stability, 3.1), and an error e of log
/// p(x, k) makes r wrong by a factor 1 ± 2 e (its own and that of the normaliser).
struct bounded {
    std::vector<double> sums, sum_bounds, log_density, log_density_bound, r, r_bound, c, c_bound;
};

/// log p(x_n, k) of all components, with bounds; projections and their bounds go into b.
void add_row(const latent_parameters& p, const latent_shape& s, const double* x, std::int64_t n, bounded& b,
             std::vector<double>& lp, std::vector<double>& lp_bound) {
    const std::int64_t d = s.dimensions, K = s.components, L = s.latent;
    const double u = 0x1p-53, depth = static_cast<double>(d + L + 8);
    std::vector<double> delta(d);
    for (std::int64_t k = 0; k < K; ++k) {
        double square = 0, terms = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            delta[j] = x[j] - p.means[k * d + j];
            square += delta[j] * delta[j] * p.precisions[k * d + j];
        }
        terms = square;
        for (std::int64_t l = 0; l < L; ++l) {
            double &value = b.c[(n * K + k) * L + l], &bound = b.c_bound[(n * K + k) * L + l];
            for (std::int64_t j = 0; j < d; ++j) {
                value += p.projections[(k * d + j) * L + l] * delta[j];
                bound += depth * u * std::abs(p.projections[(k * d + j) * L + l] * delta[j]);
            }
            square -= value * value;
            terms += value * value + 2 * std::abs(value) * bound / (depth * u);
        }
        lp[k] = p.offsets[k] - square / 2;
        lp_bound[k] = depth * u * (terms + std::abs(p.offsets[k]));
    }
}

bounded expected(const engine_case& c, const case_data& data) {
    const latent_parameters p = make_parameters(c.shape);
    const std::int64_t d = c.shape.dimensions, K = c.shape.components, L = c.shape.latent;
    const std::int64_t size = latent_statistics_size(c.shape), count = sum_count(c.shape);
    const double u = 0x1p-53, length = static_cast<double>(unit_rows + 8);
    bounded b;
    b.sums.assign(count, 0), b.sum_bounds.assign(count, 0);
    b.log_density.resize(c.rows), b.log_density_bound.resize(c.rows);
    b.r.resize(c.rows * K), b.r_bound.resize(c.rows * K);
    b.c.assign(c.rows * K * L, 0), b.c_bound.assign(c.rows * K * L, 0);
    std::vector<double> lp(K), lp_bound(K);
    for (std::int64_t n = 0; n < c.rows; ++n) {
        const double w = c.weighted ? data.weights[n] : 1;
        add_row(p, c.shape, &data.x[n * d], n, b, lp, lp_bound);
        const double largest = *std::max_element(lp.begin(), lp.end());
        const double worst = *std::max_element(lp_bound.begin(), lp_bound.end());
        double sum = 0;
        for (const double v : lp)
            sum += std::exp(v - largest);
        const double lse = largest + std::log(sum);
        b.log_density[n] = lse;
        b.log_density_bound[n] = worst + 8 * u * (1 + std::abs(lse) + static_cast<double>(K));
        const auto add = [&](std::int64_t at, double term, double relative) {
            b.sums[at] += term;
            b.sum_bounds[at] += std::abs(term) * (relative + length * u);
        };
        const double relative = 2 * worst + 16 * u * (static_cast<double>(K) + std::abs(largest));
        double entropy = 0;
        for (std::int64_t k = 0; k < K; ++k) {
            const double r = std::exp(lp[k] - lse);
            b.r[n * K + k] = r;
            b.r_bound[n * K + k] = relative * r + std::numeric_limits<double>::min();
            entropy -= r * (lp[k] - lse);
            add(k * size, w * r, relative);
            for (std::int64_t j = 0; j < d; ++j) {
                const double difference = data.x[n * d + j] - p.means[k * d + j];
                add(k * size + latent_first_moments + j, w * r * difference, relative);
                add(k * size + latent_squares(c.shape) + j, w * r * difference * difference, relative);
                for (std::int64_t l = 0; l < L; ++l) {
                    const std::int64_t at = k * size + latent_products(c.shape) + j * L + l;
                    add(at, w * r * difference * b.c[(n * K + k) * L + l], relative);
                    b.sum_bounds[at] += w * r * std::abs(difference) * b.c_bound[(n * K + k) * L + l];
                }
            }
        }
        const std::int64_t scalars = count - scalar_count;
        add(scalars + scalar_log_likelihood, w * lse, 0);
        b.sum_bounds[scalars + scalar_log_likelihood] += w * b.log_density_bound[n];
        add(scalars + scalar_entropy, w * entropy, 0);
        // −Σ r log r: an error of r or of log r enters at most with 1 + |log r|, and r |log r| ≤ 1.
        b.sum_bounds[scalars + scalar_entropy] += w * relative * 2 * (static_cast<double>(K) + 1);
        add(scalars + scalar_weight, w, 0);
    }
    // Fixed point: half a unit of the last place for each partial.
    for (double& bound : b.sum_bounds)
        bound += 0x1p-60;
    return b;
}

void expect_within(const std::vector<double>& got, const std::vector<double>& want, const std::vector<double>& bound,
                   const char* what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_LE(std::abs(got[i] - want[i]), bound[i])
            << what << ' ' << i << ": got " << got[i] << ", want " << want[i] << ", bound " << bound[i];
}

void check_case(const context& ctx, const engine_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + describe(c));
    const case_data data = make_data(c);
    const bounded want = expected(c, data);
    const auto engine = make_latent_engine(ctx, c.shape.dimensions);
    fill(*engine, c, data);
    engine->accumulate(0, c.rows);
    expect_within(engine->sums(), want.sums, want.sum_bounds, "sum");

    std::vector<double> density(c.rows), r(c.rows * c.shape.components), projected(r.size() * c.shape.latent);
    const std::int64_t K = c.shape.components;
    engine->infer(0, c.rows,
                  {{density.data(), c.rows, 1}, {r.data(), c.rows, K}, {projected.data(), c.rows, K * c.shape.latent}});
    expect_within(density, want.log_density, want.log_density_bound, "log p of row");
    expect_within(r, want.r, want.r_bound, "r");
    expect_within(projected, want.c, want.c_bound, "c");
}

std::vector<engine_case> cases() {
    std::vector<engine_case> all{{{1, 1, 1}, 1},          {{2, 1, 1}, 31, true},     {{31, 2, 15}, 63},
                                 {{32, 3, 16}, 64, true}, {{33, 2, 17}, 65},         {{5, 33, 2}, 100, true},
                                 {{65, 1, 33}, 257},      {{3, 2, 2}, 1023, true},   {{3, 2, 2}, 1025},
                                 {{4, 3, 3}, 4096, true}, {{4, 3, 3}, unit_rows + 1}};
    if (!test::slow_device())
        all.push_back({{40, 3, 5}, 3 * unit_rows + 17, true});
    return all;
}

TEST(LatentEngine, SumsAndPosteriorsAreThoseOfTheDefinition) {
    for (const context& ctx : test::contexts())
        for (const engine_case& c : cases())
            check_case(ctx, c);
}

/// z of Rᵀ z = c by back substitution, and how far another order of operations may be from it: M(Rᵀ)⁻¹ |Rᵀ| |z| times
/// the number of roundings of a row (Higham, Accuracy and Stability, theorem 8.10), with M as Rᵀ but |r_ll| on the
/// diagonal and −|r_ml| beside it. Eight more for those who multiply by reciprocals.
void solve(const double* r, const double* c, std::int64_t L, std::vector<double>& z, std::vector<double>& bound) {
    z.assign(L, 0), bound.assign(L, 0);
    for (std::int64_t l = L - 1; l >= 0; --l) {
        double value = c[l];
        for (std::int64_t m = l + 1; m < L; ++m)
            value -= r[m * L + l] * z[m];
        z[l] = value / r[l * L + l];
        double error = 0;
        for (std::int64_t m = l; m < L; ++m)
            error += static_cast<double>(L + 8) * 0x1p-52 * std::abs(r[m * L + l] * z[m]);
        for (std::int64_t m = l + 1; m < L; ++m)
            error += std::abs(r[m * L + l]) * bound[m];
        bound[l] = error / std::abs(r[l * L + l]);
    }
}

void check_readout(const context& ctx, const engine_case& c) {
    SCOPED_TRACE(ctx.name() + ": " + describe(c));
    const std::int64_t d = c.shape.dimensions, K = c.shape.components, L = c.shape.latent, n = c.rows;
    const case_data data = make_data(c);
    const auto engine = make_latent_engine(ctx, d);
    fill(*engine, c, data);
    std::vector<double> density(n), shifted(n), r(n * K), projected(n * K * L), means(n * K * L), whole(n * d),
        alone(n * d);
    EXPECT_EQ(engine->infer(0, n, {{density.data(), n, 1}, {r.data(), n, K}, {projected.data(), n, K * L}}), -1);
    latent_parameters p = make_parameters(c.shape);
    p.posterior_factors = numbers(K * L * L, 8);
    for (std::int64_t i = 0; i < K * L * L; ++i)
        if (const std::int64_t row = i / L % L, column = i % L; row == column)
            p.posterior_factors[i] = 2 + p.posterior_factors[i];
        else if (column > row)
            p.posterior_factors[i] = std::numeric_limits<double>::quiet_NaN(); // nobody looks there
    engine->set_parameters(p);
    engine->infer(0, n,
                  {.log_density = {shifted.data(), n, 1},
                   .means = {means.data(), n, K * L},
                   .reconstruction = {whole.data(), n, d},
                   .shift = 0.75});
    engine->infer(0, n, {.reconstruction = {alone.data(), n, d}});
    EXPECT_EQ(alone, whole);
    std::vector<double> z, bound;
    for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(shifted[i], density[i] - 0.75);
        for (std::int64_t k = 0; k < K; ++k) {
            const double* mean = &means[(i * K + k) * L];
            solve(&p.posterior_factors[k * L * L], &projected[(i * K + k) * L], L, z, bound);
            for (std::int64_t l = 0; l < L; ++l)
                ASSERT_LE(std::abs(mean[l] - z[l]), bound[l]) << "mean " << i << ' ' << k << ' ' << l;
        }
        for (std::int64_t j = 0; j < d; ++j) { // from the engine's own means
            double sum = 0, magnitude = 0;
            for (std::int64_t k = 0; k < K; ++k) {
                double x = p.centres[k * d + j], size = std::abs(x);
                for (std::int64_t l = 0; l < L; ++l) {
                    const double term = p.loadings[(k * d + j) * L + l] * means[(i * K + k) * L + l];
                    x += term, size += std::abs(term);
                }
                sum += r[i * K + k] * x, magnitude += r[i * K + k] * size;
            }
            ASSERT_LE(std::abs(whole[i * d + j] - sum), 2 * static_cast<double>(K + L + 4) * 0x1p-53 * magnitude)
                << "reconstruction " << i << ' ' << j;
        }
    }
}

TEST(LatentEngine, MeansAndReconstructionsAreThoseOfTheDefinition) {
    for (const context& ctx : test::contexts())
        for (const engine_case& c : cases())
            check_readout(ctx, c);
}

TEST(LatentEngine, NamesTheFirstRowThatIsTooFar) {
    const engine_case c{{3, 2, 2}, unit_rows + 40};
    case_data data = make_data(c);
    for (const std::int64_t row : {unit_rows + 30, std::int64_t(900), std::int64_t(700)}) {
        data.x[row * 3 + 1] = 1e200; // the square overflows
        for (const context& ctx : test::contexts()) {
            const auto engine = make_latent_engine(ctx, 3);
            fill(*engine, c, data);
            EXPECT_EQ(engine->infer(0, c.rows, {}), row) << ctx.name();
            EXPECT_EQ(engine->infer(unit_rows, 20, {}), -1) << ctx.name();
        }
    }
}

TEST(LatentEngine, BatchesAndThreadsChangeNoBit) {
    const engine_case c{{5, 2, 3}, 2 * unit_rows + 100, true};
    const case_data data = make_data(c);
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto whole = make_latent_engine(ctx, 5), parts = make_latent_engine(ctx, 5);
        fill(*whole, c, data);
        fill(*parts, c, data);
        whole->accumulate(0, c.rows);
        parts->accumulate(unit_rows, c.rows - unit_rows);
        parts->accumulate(0, unit_rows);
        EXPECT_EQ(whole->sums(), parts->sums());
    }
    const auto one = make_latent_engine(context::cpu(1), 5), three = make_latent_engine(context::cpu(3), 5);
    fill(*one, c, data);
    fill(*three, c, data);
    one->accumulate(0, c.rows);
    three->accumulate(0, c.rows);
    EXPECT_EQ(one->sums(), three->sums());
}

TEST(LatentEngine, RowsOfWeightZeroAndFrames) {
    // Rows behind a frame: x̃ = (x − centre) / scale; rows of weight zero at the end add nothing, whatever they hold.
    const engine_case c{{3, 2, 2}, 50};
    const case_data data = make_data(c);
    const frame f{{1e6, -4, 0.5}, {2, 0.5, 1}};
    std::vector<double> shifted(data.x), weights(c.rows, 1);
    for (std::size_t i = 0; i < shifted.size(); ++i)
        shifted[i] = shifted[i] * f.scale[i % 3] + f.centre[i % 3];
    std::fill(weights.begin() + 30, weights.end(), 0.0);
    std::fill(shifted.begin() + 30 * 3, shifted.begin() + 40 * 3, 1e300); // the square overflows
    std::fill(shifted.begin() + 40 * 3, shifted.end(), -std::numeric_limits<double>::max());
    // What the shift rounds away: u · 1e6 / scale in x̃, times the Lipschitz constants of the sums over 30 rows.
    const double bound = 0x1p-52 * 1e6 * 30 * 100;
    for (const context& ctx : test::contexts()) {
        SCOPED_TRACE(ctx.name());
        const auto plain = make_latent_engine(ctx, 3), framed = make_latent_engine(ctx, 3);
        fill(*plain, {c.shape, 30}, data);
        plain->accumulate(0, 30);
        framed->reserve(c.rows, true);
        input_rows in{matrix_view<const double>(shifted.data(), c.rows, 3), {}, 1};
        in.weights = matrix_view<const double>(weights.data(), c.rows, 1);
        framed->load(in, f, 0);
        framed->set_parameters(make_parameters(c.shape));
        framed->clear_sums({0x1p40, 0x1p60});
        framed->accumulate(0, c.rows);
        const auto got = framed->sums(), want = plain->sums();
        for (std::size_t i = 0; i < want.size(); ++i)
            EXPECT_NEAR(got[i], want[i], bound) << "sum " << i;
    }
}

} // namespace
} // namespace elbo
