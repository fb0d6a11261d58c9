// How far apart two mixtures are: estimated from samples, and bounded from the divergences of pairs of components.
#include "elbo/gmm/algebra.hpp"

#include "host/check.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/infer/infer.hpp"
#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace elbo::gmm {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t largest_batch_elements = 1 << 20;
constexpr std::int64_t unit_rows = 256; ///< sums are taken over these first, so they do not depend on the batches
constexpr std::int64_t largest_iterations = 10000;
constexpr double tolerance = 1e-12;

void check_dimensions(const model& p, const model& q) {
    expects(p.dimensions() == q.dimensions(), [&] {
        return fmt::format("q has {} dimensions: expected {}, the dimensions of p", q.dimensions(), p.dimensions());
    });
}

/// Count, mean and Σ (x − mean)² of numbers seen so far; parts are merged as Chan, Golub and LeVeque do (1983).
struct running_moments {
    double count = 0, mean = 0, squares = 0;
    void add(const std::vector<double>& x, std::int64_t first, std::int64_t last) {
        running_moments part{static_cast<double>(last - first), 0, 0};
        part.mean = std::accumulate(x.begin() + first, x.begin() + last, 0.0) / part.count;
        for (std::int64_t i = first; i < last; ++i)
            part.squares += (x[i] - part.mean) * (x[i] - part.mean);
        const double total = count + part.count, step = part.mean - mean;
        squares += part.squares + step * step * count * (part.count / total);
        mean += step * (part.count / total);
        count = total;
    }
};

/// x² − 1 − log x², without cancelling more than it must where x is near 1.
double excess(double x) {
    const double t = (x - 1) * (x + 1);
    return t - (std::abs(t) < 0.5 ? std::log1p(t) : 2 * std::log(x));
}

/// D(p_a‖q_b) = ½ (‖W‖² − d − log det W² + ‖U_qᵀ (μ_q − μ_p)‖²) with W = U_p⁻¹ U_q: a sum of terms none of which is
/// negative.
double component_divergence(const model& p, std::int64_t a, const model& q, std::int64_t b) {
    const std::int64_t d = p.dimensions();
    const int size = static_cast<int>(d);
    std::vector<double> delta(&q.means()[b * d], &q.means()[b * d] + d);
    cblas_daxpy(size, -1, &p.means()[a * d], 1, delta.data(), 1);
    double sum = 0;
    if (structure_of(p.shape()) != structure::full && structure_of(q.shape()) != structure::full) {
        const std::vector<double> u = factor_diagonal(p, a), v = factor_diagonal(q, b);
        for (std::int64_t j = 0; j < d; ++j)
            sum += excess(v[j] / u[j]) + v[j] * delta[j] * v[j] * delta[j];
        return sum / 2;
    }
    std::vector<double> w = matrix_factor(q, b);
    cblas_dtrmv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, size, w.data(), size, delta.data(), 1);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, size, size, 1,
                matrix_factor(p, a).data(), size, w.data(), size);
    for (std::int64_t i = 0; i < d; ++i) {
        sum += excess(w[i * d + i]) + delta[i] * delta[i];
        for (std::int64_t j = i + 1; j < d; ++j)
            sum += w[i * d + j] * w[i * d + j];
    }
    return sum / 2;
}

/// Components that were not dropped.
std::vector<std::int64_t> active_components(const model& m) {
    std::vector<std::int64_t> result;
    for (std::int64_t k = 0; k < m.components(); ++k)
        if (m.weights()[k] > 0)
            result.push_back(k);
    return result;
}

/// Active components of two mixtures with the divergences of all pairs.
struct component_pairs {
    component_pairs(const model& p, const model& q) {
        const auto from = active_components(p), to = active_components(q);
        for (std::int64_t a : from)
            log_alpha.push_back(std::log(p.weights()[a]));
        for (std::int64_t b : to)
            log_beta.push_back(std::log(q.weights()[b]));
        divergence.resize(from.size() * to.size());
        const auto columns = std::ssize(to);
        kernels::parallel_for(kernels::default_threads(), std::ssize(divergence), [&](std::int64_t i, int) {
            divergence[i] = component_divergence(p, from[i / columns], q, to[i % columns]);
        });
    }
    std::vector<double> log_alpha, log_beta, divergence;
};

/// log Σ_b β_b exp(−D(p_a‖q_b)) for each a.
std::vector<double> log_affinities(const component_pairs& pairs) {
    const std::size_t to = pairs.log_beta.size();
    std::vector<double> result, terms(to);
    for (std::size_t a = 0; a < pairs.log_alpha.size(); ++a) {
        for (std::size_t b = 0; b < to; ++b)
            terms[b] = pairs.log_beta[b] - pairs.divergence[a * to + b];
        result.push_back(log_sum_exp(terms.data(), to));
    }
    return result;
}

/// The variational upper bound: log φ and log ψ in turn, each at its optimum given the other.
class bound_minimiser {
public:
    explicit bound_minimiser(const component_pairs& pairs)
        : pairs_(pairs), from_(pairs.log_alpha.size()), to_(pairs.log_beta.size()), log_psi_(from_ * to_),
          log_phi_(from_ * to_) {
        for (std::size_t i = 0; i < log_psi_.size(); ++i)
            log_psi_[i] = pairs.log_alpha[i / to_] + pairs.log_beta[i % to_];
        raise_phi();
    }
    void step() {
        raise_psi();
        raise_phi();
    }
    /// With the best φ for this ψ the bound is Σ_a α_a (log α_a − log Σ_b ψ_ab exp(−D_ab)).
    double value() const { return value_; }

private:
    void raise_psi() {
        for (std::size_t b = 0; b < to_; ++b) {
            const double sum = log_sum_exp(&log_phi_[b], from_, to_);
            if (sum == -infinity) // infinitely far from all of p: of no use with any ψ
                continue;
            const double norm = pairs_.log_beta[b] - sum;
            for (std::size_t a = 0; a < from_; ++a)
                log_psi_[a * to_ + b] = log_phi_[a * to_ + b] + norm;
        }
    }
    void raise_phi() {
        value_ = 0;
        for (std::size_t a = 0; a < from_; ++a) {
            double* row = &log_phi_[a * to_];
            for (std::size_t b = 0; b < to_; ++b)
                row[b] = log_psi_[a * to_ + b] - pairs_.divergence[a * to_ + b];
            const double norm = pairs_.log_alpha[a] - log_sum_exp(row, to_);
            for (std::size_t b = 0; b < to_; ++b)
                row[b] += norm;
            value_ += std::exp(pairs_.log_alpha[a]) * norm;
        }
    }
    const component_pairs& pairs_;
    std::size_t from_, to_;
    std::vector<double> log_psi_, log_phi_;
    double value_ = 0;
};

} // namespace

divergence_result kl_divergence(const context& ctx, const model& p, const model& q, const divergence_options& options) {
    check_dimensions(p, q);
    check_fields(options);
    const std::int64_t d = p.dimensions();
    const std::int64_t batch = std::max<std::int64_t>(1, largest_batch_elements / (d * unit_rows)) * unit_rows;
    running_moments moments;
    for (std::int64_t first = 0; first < options.samples; first += batch) {
        const std::int64_t rows = std::min(batch, options.samples - first);
        const sample_result drawn = sample_rows(p, first, rows, options.seed);
        const data_source data(matrix_view<const double>(drawn.x.data(), rows, d));
        std::vector<double> difference = log_density(ctx, p, data);
        const std::vector<double> other = log_density(ctx, q, data);
        for (std::int64_t i = 0; i < rows; ++i)
            difference[i] -= other[i];
        for (std::int64_t i = 0; i < rows; i += unit_rows)
            moments.add(difference, i, std::min(i + unit_rows, rows));
    }
    if (!std::isfinite(moments.mean)) // q's density underflows to 0 at a sample
        return {infinity, infinity, options.samples};
    return {moments.mean, std::sqrt(moments.squares / (moments.count - 1) / moments.count), options.samples};
}

variational_divergence kl_variational(const model& p, const model& q) {
    check_dimensions(p, q);
    const component_pairs own(p, p), pairs(p, q);
    const std::vector<double> to_self = log_affinities(own), to_other = log_affinities(pairs);
    if (std::ranges::find(to_other, -infinity) != to_other.end())
        return {infinity, infinity, 0}; // the squared distances overflow
    variational_divergence result;
    for (std::size_t a = 0; a < to_self.size(); ++a)
        result.approximation += std::exp(pairs.log_alpha[a]) * (to_self[a] - to_other[a]);
    bound_minimiser bound(pairs);
    result.upper_bound = bound.value();
    while (result.iterations < largest_iterations) {
        const double before = result.upper_bound;
        bound.step();
        ++result.iterations;
        result.upper_bound = std::min(before, bound.value());
        if (before - result.upper_bound <= tolerance * std::abs(before))
            break;
    }
    return result;
}

} // namespace elbo::gmm
