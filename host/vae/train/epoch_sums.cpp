#include "host/vae/train/epoch_sums.hpp"

#include "kernels/math/likelihood/families.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace elbo::vae {

namespace {

/// −½ D ln 2πσ².
double log_normalizer(const architecture& a, double log_variance) {
    return -0.5 * static_cast<double>(a.dimensions) * (std::log(2 * std::numbers::pi) + log_variance);
}

/// Adds up per-row terms.
class term_sums {
public:
    term_sums(kernels::vae_engine& engine, const kernels::vae_settings& s) : engine_(engine), settings_(s) {}

    void add(const kernels::vae_rows& rows) {
        reconstruction_.resize(rows.rows), kl_.resize(rows.rows), squared_error_.resize(rows.rows);
        kernels::row_terms out;
        out.reconstruction = reconstruction_.data();
        out.kl = kl_.data();
        if (kernels::facts_of(engine_.layout.architecture.likelihood.family).second ==
            kernels::second_sum::squared_error)
            out.squared_error = squared_error_.data();
        engine_.evaluate(rows, 1, settings_.binarize, settings_.seed, out);
        for (std::int64_t n = 0; n < rows.rows; ++n) {
            sums_.reconstruction += reconstruction_[n];
            sums_.kl += kl_[n];
            sums_.squared_error += out.squared_error ? squared_error_[n] : 0;
        }
        count_ += rows.rows;
    }

    mean_terms means() const {
        const auto n = static_cast<double>(count_);
        return {sums_.reconstruction / n, sums_.kl / n, sums_.squared_error / n};
    }

private:
    kernels::vae_engine& engine_;
    const kernels::vae_settings& settings_;
    std::vector<double> reconstruction_, kl_, squared_error_;
    mean_terms sums_;
    std::int64_t count_ = 0;
};

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

epoch_record epoch_sums::record(const architecture& a) const {
    const double log_variance = optimal_log_variance(a);
    const mean_terms means = terms(a, log_variance);
    epoch_record r;
    r.train_elbo = means.elbo();
    r.train_reconstruction = means.reconstruction;
    r.train_kl = means.kl;
    r.train_objective = mean_objective(a, log_variance);
    r.learning_rate = learning_rate;
    r.gradient_norm = gradient_norm;
    r.samples_per_second = static_cast<double>(rows) / std::max(seconds, 1e-9);
    return r;
}

mean_terms resident_terms(kernels::vae_engine& engine, std::int64_t dataset, std::int64_t rows,
                          const kernels::vae_settings& settings) {
    constexpr std::int64_t piece = 65536;
    term_sums sums(engine, settings);
    for (std::int64_t first = 0; first < rows; first += piece)
        sums.add({{}, dataset, first, std::min(piece, rows - first), first});
    return sums.means();
}

mean_terms streamed_terms(kernels::vae_engine& engine, const row_batches& feed, const kernels::vae_settings& settings) {
    term_sums sums(engine, settings);
    feed.for_each([&](const any_matrix_view& x, std::int64_t first) { sums.add({x, 0, 0, x.rows, first}); });
    return sums.means();
}

} // namespace elbo::vae
