// Bounds on log p(x) of data, streamed.
#include "elbo/vae/infer.hpp"
#include "host/seconds.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/rows.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::vae {

using namespace kernels;

namespace {

/// Results of some rows.
struct row_results {
    std::vector<double> elbo, reconstruction, kl, log_bound, effective_samples;
    std::vector<float> mean, log_variance;

    void resize(std::int64_t rows, std::int64_t latent, bool importance) {
        elbo.resize(rows), reconstruction.resize(rows), kl.resize(rows);
        mean.resize(rows * latent), log_variance.resize(rows * latent);
        if (importance)
            log_bound.resize(rows), effective_samples.resize(rows);
    }
};

/// Mean and variance of a sequence (Welford 1962).
class running_moments {
public:
    void add(double x) {
        const double step = x - mean_;
        mean_ += step / static_cast<double>(++n_);
        m2_ += step * (x - mean_);
    }
    double mean() const { return mean_; }
    double variance() const { return m2_ / static_cast<double>(n_); }
    /// Standard error of the mean; of one number nothing can be said, which is 0 here.
    double standard_error() const {
        return n_ > 1 ? std::sqrt(m2_ / static_cast<double>(n_ - 1) / static_cast<double>(n_)) : 0;
    }

private:
    std::int64_t n_ = 0;
    double mean_ = 0, m2_ = 0;
};

/// Sums over rows in their order: the same whatever the batches.
class evaluation_sums {
public:
    evaluation_sums(std::int64_t latent, bool importance)
        : latent_(latent), importance_(importance), kl_of_unit_(latent, 0), unit_mean_(latent) {}

    void add(const row_results& r, std::int64_t rows) {
        for (std::int64_t n = 0; n < rows; ++n) {
            elbo_.add(r.elbo[n]);
            reconstruction_ += r.reconstruction[n];
            kl_ += r.kl[n];
            for (std::int64_t l = 0; l < latent_; ++l)
                add_unit(l, r.mean[n * latent_ + l], r.log_variance[n * latent_ + l]);
            if (importance_) {
                log_bound_.add(r.log_bound[n]);
                effective_samples_ += r.effective_samples[n];
            }
        }
        rows_ += rows;
    }

    evaluation result(std::int64_t importance_samples) const {
        constexpr double active = 0.01; // arXiv 1509.00519
        const auto n = static_cast<double>(rows_);
        evaluation e;
        e.rows = rows_;
        e.reconstruction = reconstruction_ / n;
        e.kl = kl_ / n;
        e.elbo = e.reconstruction - e.kl;
        e.elbo_standard_error = elbo_.standard_error();
        for (std::int64_t l = 0; l < latent_; ++l) {
            e.kl_per_unit.push_back(kl_of_unit_[l] / n);
            e.unit_activity.push_back(unit_mean_[l].variance());
            e.active_units += e.unit_activity.back() > active;
        }
        e.importance_samples = importance_samples;
        if (importance_) {
            e.log_likelihood_bound = log_bound_.mean();
            e.log_likelihood_standard_error = log_bound_.standard_error();
            e.effective_sample_size = effective_samples_ / n;
        }
        return e;
    }

private:
    void add_unit(std::int64_t l, double mean, double log_variance) {
        kl_of_unit_[l] += 0.5 * (mean * mean + std::expm1(log_variance) - log_variance);
        unit_mean_[l].add(mean);
    }

    std::int64_t latent_;
    bool importance_;
    std::int64_t rows_ = 0;
    double reconstruction_ = 0, kl_ = 0, effective_samples_ = 0;
    running_moments elbo_, log_bound_;
    std::vector<double> kl_of_unit_;
    std::vector<running_moments> unit_mean_;
};

void check(const model& m, const evaluate_options& o) {
    check_fields(o);
    const likelihood_family family = m.architecture().likelihood.family;
    expects(!o.binarize || family == likelihood_family::bernoulli, [&] {
        return fmt::format("binarize = true: expected the bernoulli likelihood, it is {}", to_string(family));
    });
}

/// Rows between two calls of the callback: about so many passes of the decoder.
std::int64_t rows_per_piece(const context& ctx, const evaluate_options& o) {
    const std::int64_t draws = ctx.memory() == memory_space::device ? std::int64_t(1) << 24 : std::int64_t(1) << 16;
    return std::max<std::int64_t>(1, draws / (o.samples + o.importance_samples));
}

void evaluate_piece(vae_engine& engine, const vae_rows& rows, const evaluate_options& o, row_results& r) {
    r.resize(rows.rows, engine.layout.architecture.latent, o.importance_samples > 0);
    row_terms out;
    out.reconstruction = r.reconstruction.data();
    out.kl = r.kl.data();
    out.mean = r.mean.data();
    out.log_variance = r.log_variance.data();
    engine.evaluate(rows, o.samples, o.binarize, o.seed, out);
    for (std::int64_t n = 0; n < rows.rows; ++n)
        r.elbo[n] = r.reconstruction[n] - r.kl[n];
    if (o.importance_samples > 0)
        engine.importance(rows, o.importance_samples, o.binarize, o.seed, r.log_bound.data(),
                          r.effective_samples.data());
}

} // namespace

evaluation evaluate(const context& ctx, const model& m, const data_source& data, const evaluate_options& options,
                    row_bounds* rows) {
    const steady_time begin = std::chrono::steady_clock::now();
    check(m, options);
    const row_batches feed(ctx, data, m.architecture().dimensions, "the dimensions of the model");
    const auto engine = make_vae_engine(ctx, make_layout(m.architecture()));
    engine->set_parameters(m.parameters());
    const std::int64_t piece = rows_per_piece(ctx, options);
    evaluation_sums sums(m.architecture().latent, options.importance_samples > 0);
    row_results r;
    row_bounds all;
    feed.for_each([&](const any_matrix_view& x, std::int64_t first) {
        check_rows(engine->inspect(x), data, first, m.architecture());
        for (std::int64_t at = 0; at < x.rows; at += piece) {
            const std::int64_t count = std::min(piece, x.rows - at), done = first + at + count;
            evaluate_piece(*engine, {x.slice(at, count), 0, 0, count, first + at}, options, r);
            sums.add(r, count);
            if (rows) {
                all.elbo.insert(all.elbo.end(), r.elbo.begin(), r.elbo.end());
                all.log_likelihood_bound.insert(all.log_likelihood_bound.end(), r.log_bound.begin(), r.log_bound.end());
            }
            if (options.callback && !options.callback(done, data.rows()))
                throw interrupted(
                    fmt::format("the callback stopped the evaluation after {} of {} rows", done, data.rows()));
        }
    });
    if (rows)
        *rows = std::move(all);
    evaluation e = sums.result(options.importance_samples);
    e.seconds = seconds_since(begin);
    return e;
}

row_bounds evaluate_rows(const context& ctx, const model& m, const data_source& data, const evaluate_options& options) {
    row_bounds all;
    evaluate(ctx, m, data, options, &all);
    return all;
}

} // namespace elbo::vae
