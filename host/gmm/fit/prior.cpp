#include "host/gmm/fit/prior.hpp"

#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/rows/frame.hpp"
#include "kernels/math/special_functions.hpp"
#include "kernels/shared/gmm_prior.hpp"
#include "kernels/shared/precision_factor.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numbers>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// log |C| of a symmetric matrix with positive diagonal, by way of its correlations, so that the units of the columns
/// do not matter; NaN where it is singular.
double log_determinant(const std::vector<double>& c, std::int64_t d) {
    std::vector<double> correlation(c.size()), u(c.size());
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i) {
        sum += std::log(c[i * d + i]);
        for (std::int64_t j = 0; j < d; ++j)
            correlation[i * d + j] = c[i * d + j] / (std::sqrt(c[i * d + i]) * std::sqrt(c[j * d + j]));
    }
    if (!precision_factor(correlation.data(), d, u.data()))
        return std::numeric_limits<double>::quiet_NaN();
    for (std::int64_t i = 0; i < d; ++i)
        sum -= 2 * std::log(u[i * d + i]);
    return sum;
}

void check_scale(const std::vector<double>& scale, family f, std::int64_t d) {
    const bool matrix = geometry(f).matrix();
    check_size("prior.scale", scale.size(), geometry(f).size(d),
               matrix                    ? "dimensions x dimensions"
               : geometry(f).spherical() ? "one number for a spherical family"
                                         : "dimensions");
    const std::size_t step = matrix ? d + 1 : 1;
    for (std::size_t i = 0; i < scale.size(); i += step)
        expects(scale[i] > 0,
                [&] { return fmt::format("prior.scale[{}] = {}: expected a positive number", i, scale[i]); });
    if (!matrix)
        return;
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < i; ++j) {
            const double a = scale[i * d + j], b = scale[j * d + i];
            expects(std::abs(a - b) <= 1e-9 * std::sqrt(scale[i * d + i]) * std::sqrt(scale[j * d + j]), [&] {
                return fmt::format("prior.scale is not symmetric: {} at ({}, {}) and {} at ({}, {})", a, i, j, b, j, i);
            });
        }
    expects(!std::isnan(log_determinant(scale, d)),
            "prior.scale is not positive definite: expected a positive definite matrix");
}

/// Without the data's own: 1 for a column that does not vary.
double variance_or_one(double variance) {
    return variance > 0 ? variance : 1;
}

std::vector<double> default_scale(const gmm_shape& shape, const prior_moments& data) {
    const std::int64_t d = shape.dimensions;
    const double unbiased = data.weight / std::max(data.weight - 1, data.weight / 2),
                 share = unbiased / std::pow(static_cast<double>(shape.components), 2 / static_cast<double>(d));
    std::vector<double> scale = data.covariance;
    if (geometry(shape.family).spherical()) {
        const double trace = std::accumulate(scale.begin(), scale.end(), 0.0);
        return {share * variance_or_one(trace / static_cast<double>(d))};
    }
    const std::int64_t step = geometry(shape.family).matrix() ? d + 1 : 1;
    for (std::int64_t j = 0; j < d; ++j)
        scale[j * step] = variance_or_one(scale[j * step]);
    if (geometry(shape.family).matrix() && std::isnan(log_determinant(scale, d)))
        for (std::int64_t i = 0; i < d * d; ++i)
            scale[i] = i % step == 0 ? scale[i] : 0;
    for (double& v : scale)
        v *= share;
    return scale;
}

/// What the density of one covariance, or of its variances, holds beside Λ.
double covariance_constant(const parameter_prior& p, const gmm_shape& shape) {
    const auto d = static_cast<double>(shape.dimensions);
    const double nu = *p.degrees_of_freedom;
    if (geometry(shape.family).matrix())
        return 0.5 * nu * (log_determinant(*p.scale, shape.dimensions) - d * std::log(2.0)) -
               log_multivariate_gamma(0.5 * nu, shape.dimensions);
    double sum = 0;
    for (double v : *p.scale)
        sum += 0.5 * nu * std::log(0.5 * v) - std::lgamma(0.5 * nu);
    return sum;
}

/// What log p(θ) holds beside the parameters, in units of the data.
double log_constant(const parameter_prior& p, const gmm_shape& shape) {
    const auto d = static_cast<double>(shape.dimensions), k = static_cast<double>(shape.components);
    const double a = p.concentration, covariances = geometry(shape.family).tied ? 1 : k;
    return std::lgamma(k * a) - k * std::lgamma(a) + k * 0.5 * d * std::log(p.mean_precision / (2 * std::numbers::pi)) +
           covariances * covariance_constant(p, shape);
}

/// Twice the factor of ½ log |Λ| in the log density of the covariances and of the means given them.
double covariance_count(const parameter_prior& p, const gmm_shape& shape) {
    const auto d = static_cast<double>(shape.dimensions);
    const double nu = *p.degrees_of_freedom, own = geometry(shape.family).matrix()      ? nu + d + 1
                                                   : geometry(shape.family).spherical() ? (nu + 2) / d
                                                                                        : nu + 2;
    return own + (is_tied(shape.family) ? static_cast<double>(shape.components) : 1);
}

/// The rows without far values: their weights, and their mean in a frame.
class usual_rows {
public:
    usual_rows(const row_feed& feed, const data_summary& summary, const frame& f)
        : feed_(feed), summary_(summary), frame_(f), sum_(summary.mean.size(), 0) {}

    /// Of the next batch, 0 for rows with far values.
    std::vector<double> weights_of(const input_rows& batch) {
        std::vector<double> weights(batch.x.rows, 1);
        if (feed_.weighted())
            weights = feed_.to_host(batch.weights);
        const auto d = static_cast<std::int64_t>(sum_.size());
        for (std::int64_t begin = 0; begin < batch.x.rows; begin += unit_rows) {
            const std::int64_t rows = std::min(unit_rows, batch.x.rows - begin);
            const std::vector<double> x = feed_.to_host(batch.x.slice(begin, rows));
            for (std::int64_t i = 0; i < rows; ++i)
                add(&x[i * d], weights[begin + i], batch.weight_scale);
        }
        return weights;
    }
    double weight() const { return weight_; }
    double mean(std::int64_t j) const { return sum_[j] / weight_; }

private:
    void add(const double* x, double& weight, double weight_scale) {
        const std::vector<value_range>& usual = summary_.usual;
        for (std::size_t j = 0; j < usual.size(); ++j)
            if (!usual[j].holds(x[j]))
                weight = 0;
        if (!(weight > 0))
            return;
        weight_ += weight * weight_scale;
        for (std::size_t j = 0; j < sum_.size(); ++j)
            sum_[j] += weight * weight_scale * ((x[j] - frame_.centre[j]) / frame_.scale[j]);
    }

    const row_feed& feed_;
    const data_summary& summary_;
    const frame& frame_;
    double weight_ = 0;
    std::vector<double> sum_;
};

/// The variances of the summary with the correlations of the usual rows, of which the scatter in the frame is given;
/// without correlations where there are no such rows.
std::vector<double> with_correlations(const std::vector<double>& scatter, const usual_rows& usual,
                                      const data_summary& summary) {
    const auto d = static_cast<std::int64_t>(summary.mean.size());
    const auto covariance = [&](std::int64_t i, std::int64_t j) {
        return scatter[packed_upper(i, j, d)] / usual.weight() - usual.mean(i) * usual.mean(j);
    };
    std::vector<double> result(static_cast<std::size_t>(d * d), 0);
    for (std::int64_t i = 0; i < d; ++i) {
        result[i * d + i] = summary.variance[i];
        const double own = usual.weight() > 0 ? covariance(i, i) : 0;
        for (std::int64_t j = i + 1; own > 0 && j < d; ++j) {
            const double other = covariance(j, j);
            if (other > 0)
                result[i * d + j] = result[j * d + i] =
                    covariance(i, j) / std::sqrt(own * other) * std::sqrt(summary.variance[i] * summary.variance[j]);
        }
    }
    return result;
}

} // namespace

void check_weight_beside_prior(double total_weight) {
    constexpr double most = 0x1p400;
    expects(total_weight >= 1 / most && total_weight <= most, [&] {
        return fmt::format("weights sum to {:.3g}: expected {:.3g} to {:.3g} beside a prior, which counts in samples",
                           total_weight, 1 / most, most);
    });
}

void check_prior(const parameter_prior& p, family f, std::int64_t dimensions) {
    check_fields(p, "prior.");
    if (p.degrees_of_freedom) {
        const std::int64_t above = geometry(f).matrix() ? dimensions - 1 : 0;
        expects(*p.degrees_of_freedom > static_cast<double>(above), [&] {
            return fmt::format("prior.degrees_of_freedom = {}: expected a finite number above {}{}",
                               *p.degrees_of_freedom, above, geometry(f).matrix() ? " = dimensions - 1" : "");
        });
        expects("prior.degrees_of_freedom", *p.degrees_of_freedom, prior_count);
    }
    if (p.mean)
        check_size("prior.mean", p.mean->size(), dimensions, "dimensions");
    if (p.scale)
        check_scale(*p.scale, f, dimensions);
}

bool takes_covariance(const parameter_prior& p, family f) {
    return geometry(f).matrix() && !p.scale;
}

std::vector<double> data_covariance(const fit_setup& setup, const data_summary& summary) {
    const row_feed& feed = setup.feed();
    const auto d = static_cast<std::int64_t>(summary.mean.size());
    const frame f = make_frame(family::tied, summary.mean, summary.variance);
    const auto engine = make_engine(setup.ctx, {family::tied, d, 1}, setup.options.precision, feed.data().type());
    engine->reserve(setup.rows.at_a_time(), feed.weighted() || summary.left_out);
    double total = summary.weight * feed.weight_scale();
    fixed_sums sums(scatter_size(engine->shape), component_sum_bound(total, largest_normalized(summary, f), d));
    usual_rows usual(feed, summary, f);
    feed.for_each([&](input_rows batch, std::int64_t) {
        std::vector<double> weights;
        if (summary.left_out) {
            weights = usual.weights_of(batch);
            batch.weights = matrix_view<const double>(weights.data(), batch.x.rows, 1);
        }
        engine->load(batch, f, 0);
        engine->accumulate_scatter(0, batch.x.rows, sums);
    });
    if (summary.left_out)
        return with_correlations(sums.values(), usual, summary);
    const std::vector<double> scatter = sums.values(); // about the mean, the centre of the frame
    std::vector<double> covariance(static_cast<std::size_t>(d * d));
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = i; j < d; ++j)
            covariance[i * d + j] = covariance[j * d + i] =
                scatter[packed_upper(i, j, d)] / total * f.scale[i] * f.scale[j];
    return covariance;
}

parameter_prior complete_prior(const parameter_prior& p, const gmm_shape& shape, const prior_moments& data) {
    parameter_prior complete = p;
    if (!p.mean)
        complete.mean = data.mean;
    if (!p.degrees_of_freedom)
        complete.degrees_of_freedom = static_cast<double>(shape.dimensions + 2);
    if (!p.scale)
        complete.scale = default_scale(shape, data);
    return complete;
}

conjugate_prior to_frame(const parameter_prior& complete, const gmm_shape& shape, const frame& f, double weight_scale) {
    const std::int64_t d = shape.dimensions;
    const double covariances = is_tied(shape.family) ? 1 : static_cast<double>(shape.components);
    conjugate_prior p;
    p.weight_count = weight_scale * (complete.concentration - 1);
    p.mean_count = weight_scale * complete.mean_precision;
    p.covariance_count = weight_scale * covariance_count(complete, shape);
    for (std::int64_t j = 0; j < d; ++j)
        p.mean.push_back(((*complete.mean)[j] - f.centre[j]) / f.scale[j]);
    for (std::size_t i = 0; i < complete.scale->size(); ++i) {
        const std::size_t row = geometry(shape.family).matrix() ? i / d : i,
                          column = geometry(shape.family).matrix() ? i % d : i;
        p.scale.push_back(weight_scale * (*complete.scale)[i] / (f.scale[row] * f.scale[column]));
    }
    // Σ_i log Ũ_ii in the frame is Σ_i log U_ii + log_scale.
    p.log_constant = weight_scale * log_constant(complete, shape) - covariances * p.covariance_count * log_scale(f);
    return p;
}

double log_prior(const model& m, const parameter_prior& prior) {
    check_prior(prior, m.shape(), m.dimensions());
    expects(prior.mean.has_value(), "prior.mean is not given: expected one number a column");
    expects(prior.scale.has_value(), "prior.scale is not given: expected a scale");
    const gmm_shape shape{m.shape(), m.dimensions(), m.components()};
    const frame f{std::vector<double>(m.dimensions(), 0), std::vector<double>(m.dimensions(), 1)};
    return kernels::log_prior(shape, to_frame(complete_prior(prior, shape, {}), shape, f, 1), to_frame(m, f)).total;
}

} // namespace elbo::gmm
