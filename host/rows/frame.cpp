#include "host/rows/frame.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace elbo::gmm {

namespace {

/// Which scale multiplies element i of a precision Cholesky array: that of its row dimension.
std::int64_t dimension_of_factor(family f, std::int64_t d, std::int64_t i) {
    return geometry(f).matrix() ? i / d % d : geometry(f).spherical() ? 0 : i % d;
}

/// Mean and variance of a column for the frame of a model. Beside one far component the mean of all lies many
/// deviations from narrow ones, and float32 rows about it would lose them: then the centre is where these are, the mean
/// of the means by weight and precision. The scale is such that the far component is no more than 2¹⁴ away, so that the
/// sums of statistics hold both.
template <class Variance>
void look_at_narrow(const model& m, std::int64_t j, const Variance& own_variance, double& mean, double& variance) {
    constexpr double most_deviations = 0x1p12, most_away = 0x1p14;
    bool lost = false;
    double narrowest = own_variance(0), precision = 0, centre = 0, farthest = 0;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const double away = m.means()[k * m.dimensions() + j] - mean, own = own_variance(k);
        lost = lost || away * away > most_deviations * most_deviations * own;
        narrowest = std::min(narrowest, own);
    }
    if (!lost)
        return;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const double share = m.weights()[k] * (narrowest / own_variance(k));
        precision += share;
        centre += share * (m.means()[k * m.dimensions() + j] - mean);
    }
    mean += centre / precision;
    for (std::int64_t k = 0; k < m.components(); ++k)
        farthest = std::max(farthest, std::abs(m.means()[k * m.dimensions() + j] - mean) + std::sqrt(own_variance(k)));
    variance = std::max(narrowest / precision, farthest / most_away * (farthest / most_away));
}

} // namespace

double nearest_power_of_two(double x) {
    if (!(x > 0))
        return 1;
    return std::ldexp(1.0, static_cast<int>(std::lround(std::log2(x))));
}

kernels::frame make_frame(family f, const std::vector<double>& mean, const std::vector<double>& variance) {
    kernels::frame result{mean, std::vector<double>(mean.size())};
    const double sum = std::accumulate(variance.begin(), variance.end(), 0.0);
    for (std::size_t j = 0; j < mean.size(); ++j)
        result.scale[j] = nearest_power_of_two(
            std::sqrt(geometry(f).spherical() ? sum / static_cast<double>(mean.size()) : variance[j]));
    return result;
}

double largest_normalized(const data_summary& s, const kernels::frame& f) {
    double largest = 1;
    for (std::size_t j = 0; j < s.mean.size(); ++j)
        largest = std::max({largest, (s.max[j] - f.centre[j]) / f.scale[j], (f.centre[j] - s.min[j]) / f.scale[j]});
    return largest;
}

kernels::gmm_parameters to_frame(const model& m, const kernels::frame& f) {
    const std::int64_t d = m.dimensions();
    kernels::gmm_parameters p{{}, m.means(), m.precision_cholesky()};
    for (double w : m.weights())
        p.log_weights.push_back(std::log(w));
    for (std::size_t i = 0; i < p.means.size(); ++i)
        p.means[i] = (p.means[i] - f.centre[i % d]) / f.scale[i % d];
    for (std::size_t i = 0; i < p.precision_cholesky.size(); ++i)
        p.precision_cholesky[i] *= f.scale[dimension_of_factor(m.shape(), d, static_cast<std::int64_t>(i))];
    return p;
}

model from_frame(family shape, const kernels::gmm_parameters& p, const kernels::frame& f) {
    const auto d = static_cast<std::int64_t>(f.centre.size());
    const auto components = static_cast<std::int64_t>(p.log_weights.size());
    const std::int64_t each = geometry(shape).stride(d);
    std::vector<double> weights, means, factors;
    if (is_tied(shape))
        factors = p.precision_cholesky;
    double total = 0;
    for (std::int64_t k = 0; k < components; ++k) {
        if (std::isinf(p.log_weights[k]))
            continue;
        weights.push_back(std::exp(p.log_weights[k]));
        total += weights.back();
        for (std::int64_t j = 0; j < d; ++j)
            means.push_back(f.centre[j] + f.scale[j] * p.means[k * d + j]);
        factors.insert(factors.end(), p.precision_cholesky.begin() + k * each,
                       p.precision_cholesky.begin() + (k + 1) * each);
    }
    for (double& w : weights)
        w /= total;
    for (std::size_t i = 0; i < factors.size(); ++i)
        factors[i] /= f.scale[dimension_of_factor(shape, d, static_cast<std::int64_t>(i))];
    return model::from_precision_cholesky(shape, d, std::move(weights), std::move(means), std::move(factors));
}

double log_scale(const kernels::frame& f) {
    double sum = 0;
    for (double s : f.scale)
        sum += std::log(s);
    return sum;
}

kernels::frame frame_of(const model& m) {
    const std::int64_t d = m.dimensions();
    std::vector<double> mean(d, 0), variance(d, 0);
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (std::int64_t j = 0; j < d; ++j)
            mean[j] += m.weights()[k] * m.means()[k * d + j];
    const std::vector<double> covariances = m.covariances();
    const auto own_variance = [&](std::int64_t k, std::int64_t j) {
        return covariances[k * geometry(m.shape()).stride(d) + geometry(m.shape()).at(j, j, d)];
    };
    for (std::int64_t k = 0; k < m.components(); ++k)
        for (std::int64_t j = 0; j < d; ++j) {
            const double off = m.means()[k * d + j] - mean[j];
            variance[j] += m.weights()[k] * (own_variance(k, j) + off * off);
        }
    for (std::int64_t j = 0; j < d; ++j)
        look_at_narrow(
            m, j, [&](std::int64_t k) { return own_variance(k, j); }, mean[j], variance[j]);
    return make_frame(m.shape(), mean, variance);
}

std::vector<double> normalized_lambda(const fit_options& o, const std::vector<double>& variance,
                                      const kernels::frame& f) {
    constexpr double default_relative = 1e-6;
    std::vector<double> lambda(variance.size());
    for (std::size_t j = 0; j < variance.size(); ++j) {
        const double square = f.scale[j] * f.scale[j];
        const double spread = variance[j] > 0 ? variance[j] / square : 1;
        lambda[j] =
            o.regularization.value_or(0) / square + o.relative_regularization.value_or(default_relative) * spread;
    }
    return lambda;
}

std::vector<double> normalized_lambda(const fit_options& o, const model& kept, const std::vector<double>& variance,
                                      const kernels::frame& f) {
    if (kept.regularization().empty())
        return normalized_lambda(o, variance, f);
    if (o.regularization || o.relative_regularization)
        return normalized_lambda(o, kept.regularization_variances(), f);
    std::vector<double> lambda = kept.regularization();
    for (std::size_t j = 0; j < lambda.size(); ++j)
        lambda[j] /= f.scale[j] * f.scale[j];
    return lambda;
}

model keep_regularization(const model& m, const std::vector<double>& normalized_lambda,
                          const std::vector<double>& variance, const kernels::frame& f) {
    std::vector<double> lambda = normalized_lambda, variances = variance;
    for (std::size_t j = 0; j < lambda.size(); ++j) {
        const double square = f.scale[j] * f.scale[j];
        lambda[j] *= square;
        if (!(variances[j] > 0))
            variances[j] = square;
    }
    return m.with_regularization(std::move(lambda), std::move(variances));
}

double component_sum_bound(double total_weight, double largest, std::int64_t dimensions) {
    return 8 * total_weight * static_cast<double>(dimensions) * std::max(1.0, largest * largest);
}

double scalar_sum_bound(double total_weight) {
    return total_weight * 0x1p70;
}

double scalar_sum_bound(double total_weight, const data_summary& summary) {
    double squares = 0; // of the farthest row, in deviations that components keep at least
    for (std::size_t j = 0; j < summary.mean.size(); ++j) {
        const double farthest = std::max(summary.max[j] - summary.mean[j], summary.mean[j] - summary.min[j]);
        if (summary.regular_variance[j] > 0)
            squares += farthest / summary.regular_variance[j] * farthest;
    }
    return std::max(scalar_sum_bound(total_weight), 4 * total_weight * squares);
}

} // namespace elbo::gmm
