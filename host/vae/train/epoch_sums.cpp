#include "host/vae/train/epoch_sums.hpp"

#include "kernels/math/likelihood/families.hpp"

#include <cmath>
#include <numbers>

namespace elbo::vae {

namespace {

/// −½ D ln 2πσ².
double log_normalizer(const architecture& a, double log_variance) {
    return -0.5 * static_cast<double>(a.dimensions) * (std::log(2 * std::numbers::pi) + log_variance);
}

} // namespace

bool has_optimal_scale(const architecture& a) {
    return kernels::source_of(a.likelihood) == parameter_source::optimal;
}

void epoch_sums::add(const architecture& a, const kernels::step_record& record, double rate) {
    rows += record.rows;
    reconstruction += record.reconstruction;
    kl += record.kl;
    objective += record.objective;
    squared_error += record.squared_error;
    gradient_norm = record.gradient_norm;
    learning_rate = rate;
    if (!has_optimal_scale(a))
        return;
    const double log_variance = kernels::optimal_log_variance(record.scale, a.dimensions);
    objective += 0.5 * record.weighted_squared_error * std::exp(-log_variance) -
                 static_cast<double>(record.rows) * log_normalizer(a, log_variance);
    weighted_squared_error += record.weighted_squared_error;
}

double epoch_sums::optimal_log_variance(const architecture& a) const {
    return kernels::optimal_log_variance({squared_error, static_cast<double>(rows)}, a.dimensions);
}

mean_terms epoch_sums::terms(const architecture& a, double log_variance) const {
    const auto n = static_cast<double>(rows);
    mean_terms means{reconstruction / n, kl / n, squared_error / n};
    if (has_optimal_scale(a))
        means.reconstruction = log_normalizer(a, log_variance) - 0.5 * means.squared_error * std::exp(-log_variance);
    return means;
}

double epoch_sums::mean_objective(const architecture& a, double log_variance) const {
    const auto n = static_cast<double>(rows);
    if (!has_optimal_scale(a))
        return objective / n;
    return (objective - 0.5 * weighted_squared_error * std::exp(-log_variance)) / n + log_normalizer(a, log_variance);
}

} // namespace elbo::vae
