#include "host/rows/regularization.hpp"

#include <algorithm>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

constexpr double default_relative = 1e-6;

} // namespace

std::vector<double> normalized_lambda(const fit_options& o, const std::vector<double>& variance, const frame& f) {
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
                                      const frame& f) {
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
                          const std::vector<double>& variance, const frame& f) {
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
