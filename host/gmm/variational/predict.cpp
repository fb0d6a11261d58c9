// The predictive distribution: a mixture of Student t distributions.
//
// With Λ ~ Wishart(W, ν) of dimension p and μ | Λ ~ N(m, (β Λ)⁻¹), a block x of p columns has the t distribution with ν
// + 1 − p degrees of freedom, centre m and precision (ν + 1 − p) β/(1 + β) W. In terms of the factor U of E[Λ] = ν W,
// with c = β / ((1 + β) ν):  p(x) ∝ (1 + c ‖Uᵀ(x − m)‖²)^{−(ν + 1)/2}. Diagonal families have d blocks of one column;
// of spherical families one λ is shared by d columns: ν degrees of freedom in d dimensions.
#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/infer/infer.hpp"
#include "host/gmm/variational/distribution.hpp"
#include "host/rows/row_access.hpp"
#include "host/rows/row_feed.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace elbo::gmm {

using namespace kernels;

namespace {

using variational::as_double;

/// Degrees of freedom of the t distributions of component k.
double t_degrees(const variational_posterior& q, std::int64_t k) {
    const std::int64_t order = variational::form_of(q.shape(), q.dimensions()).dimension;
    return q.values().degrees_of_freedom[is_tied(q.shape()) ? 0 : k] + 1 - as_double(order);
}

/// One component: its t distributions, each of `columns` columns.
struct t_component {
    double log_constant = 0;
    double shrink = 0;   ///< c
    double exponent = 0; ///< (degrees of freedom + columns) / 2
    const double *mean = nullptr, *factor = nullptr;
};

class t_mixture {
public:
    explicit t_mixture(const variational_posterior& q) : d_(q.dimensions()), structure_(structure_of(q.shape())) {
        const gmm::model m = q.model();
        const std::vector<double> weights = q.expected_weights();
        const bool tied = is_tied(q.shape());
        const std::int64_t size = geometry(q.shape()).size(d_);
        const std::int64_t columns = structure_ == structure::diagonal ? 1 : d_;
        for (std::int64_t k = 0; k < q.components(); ++k) {
            const double beta = q.values().mean_precisions[k], nu = q.values().degrees_of_freedom[tied ? 0 : k];
            const double degrees = t_degrees(q, k);
            t_component t;
            t.shrink = beta / ((1 + beta) * nu);
            t.exponent = 0.5 * (degrees + as_double(columns));
            t.log_constant = std::log(weights[k]) + log_sum(factor_diagonal(m, k)) +
                             as_double(d_ / columns) * (std::lgamma(t.exponent) - std::lgamma(0.5 * degrees)) +
                             0.5 * as_double(d_) * std::log(t.shrink / std::numbers::pi);
            t.mean = &q.values().means[k * d_];
            t.factor = &q.values().precision_cholesky[tied ? 0 : k * size];
            components_.push_back(t);
        }
    }

    /// log p(x) of one row; `y` [d] is scratch memory.
    double log_density(const double* x, double* y) const {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        for (const t_component& t : components_) { // log-sum-exp in one pass
            const double lp = t.log_constant - t.exponent * log_square(t, x, y);
            if (lp > largest) {
                sum = sum * std::exp(largest - lp) + 1;
                largest = lp;
            } else if (lp > -std::numeric_limits<double>::infinity()) {
                sum += std::exp(lp - largest);
            }
        }
        return largest + std::log(sum);
    }

private:
    /// Σ ln(1 + c ‖Uᵀ(x − m)‖²) over the blocks.
    double log_square(const t_component& t, const double* x, double* y) const {
        std::fill(y, y + d_, 0.0);
        for (std::int64_t i = 0; i < d_; ++i) {
            const double z = x[i] - t.mean[i];
            if (structure_ != structure::full)
                y[i] = t.factor[structure_ == structure::diagonal ? i : 0] * z;
            else
                for (std::int64_t j = i; j < d_; ++j)
                    y[j] += t.factor[i * d_ + j] * z;
        }
        double blocks = 0, square = 0;
        for (std::int64_t j = 0; j < d_; ++j)
            if (structure_ == structure::diagonal)
                blocks += std::log1p(t.shrink * y[j] * y[j]);
            else
                square += y[j] * y[j];
        return structure_ == structure::diagonal ? blocks : std::log1p(t.shrink * square);
    }

    std::int64_t d_;
    structure structure_;
    std::vector<t_component> components_;
};

/// Gamma(shape, 1) by Marsaglia and Tsang (2000); below shape 1 from shape + 1 by a power of a uniform number. Words by
/// (seed, row, item) and the number of the attempt.
double draw_gamma(double shape, std::uint64_t seed, std::uint64_t row, std::uint32_t item) {
    constexpr std::uint32_t attempts = 64; // one in 20 is rejected: never as many in a row
    const double boosted = shape < 1 ? shape + 1 : shape;
    const double d = boosted - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    double value = d;
    for (std::uint32_t attempt = 0; attempt < attempts; ++attempt) {
        const std::uint32_t at = 2 * (item * attempts + attempt);
        double x = 0, unused = 0;
        normal_pair(random_block(seed, random_purpose::sample_gamma, row, at), x, unused);
        const philox_block words = random_block(seed, random_purpose::sample_gamma, row, at + 1);
        const double v = std::pow(1 + c * x, 3), u = uniform_double(words.word[0], words.word[1]);
        if (v > 0 && std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) {
            const double power = uniform_double(words.word[2], words.word[3]);
            value = d * v * (shape < 1 ? std::pow(power, 1 / shape) : 1);
            break;
        }
    }
    return value;
}

} // namespace

std::vector<double> log_density(const context& ctx, const variational_posterior& q, const data_source& data) {
    const std::int64_t d = q.dimensions();
    check_width(data, d, "the posterior");
    const context host = on_host(ctx);
    row_feed feed(host, data, {});
    feed.stream();
    const auto checker = make_engine(host, {q.shape(), d, 1}, compute_precision::automatic, data.type());
    feed.summarize(*checker); // every value is checked before anything is computed
    const t_mixture mixture(q);
    std::vector<double> result(data.rows());
    feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
        const std::vector<double> x = feed.to_host(batch.x);
        parallel_ranges(host.threads(), batch.x.rows, 64, [&](std::int64_t first, std::int64_t last) {
            std::vector<double> y(d);
            for (std::int64_t n = first; n < last; ++n)
                result[first_row + n] = mixture.log_density(&x[n * d], y.data());
        });
    });
    return result;
}

sample_result sample(const context&, const variational_posterior& q, std::int64_t n, std::uint64_t seed) {
    expects("n", n, at_least(0));
    const std::int64_t d = q.dimensions();
    const std::int64_t columns = structure_of(q.shape()) == structure::diagonal ? 1 : d;
    // A normal row of the mixture at the posterior means, whose distance from m is stretched to that of a t
    // distribution: U^-T ε √((1 + β) ν / (β g)) with g ~ χ² of its degrees of freedom.
    sample_result result = sample_rows(q.model(), 0, n, seed);
    for_independent_rows(n, d, [&](std::int64_t i) {
        const std::int64_t k = result.labels[i];
        const double beta = q.values().mean_precisions[k], degrees = t_degrees(q, k);
        const double nu = q.values().degrees_of_freedom[is_tied(q.shape()) ? 0 : k];
        for (std::int64_t first = 0; first < d; first += columns) {
            const double chi_square =
                2 * draw_gamma(0.5 * degrees, seed, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(first));
            const double stretch = std::sqrt((1 + beta) * nu / (beta * chi_square));
            for (std::int64_t j = first; j < first + columns; ++j) {
                const double mean = q.values().means[k * d + j];
                result.x[i * d + j] = mean + stretch * (result.x[i * d + j] - mean);
            }
        }
    });
    return result;
}

} // namespace elbo::gmm
