#include "host/gmm/infer/expected_log_joint.hpp"

#include "elbo/gmm/gradient.hpp"
#include "host/check.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "host/rows/frame.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <numbers>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Calls visit(i, j, position) for every product of two coordinates in the second moments of this kind.
template <class Visit>
void for_each_product(structure form, std::int64_t d, Visit visit) {
    for (std::int64_t i = 0; i < d; ++i)
        if (form == structure::full)
            for (std::int64_t j = i; j < d; ++j)
                visit(i, j, packed_upper(i, j, d));
        else
            visit(i, i, form == structure::diagonal ? i : 0);
}

/// M U for a packed symmetric M and an upper triangular U.
std::vector<double> symmetric_times(const std::vector<double>& m, const double* u, std::int64_t d) {
    std::vector<double> product(d * d);
    for_each_product(structure::full, d, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
        product[i * d + j] = product[j * d + i] = m[at];
    });
    const auto n = static_cast<int>(d);
    const one_blas_thread one;
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, n, n, 1, u, n, product.data(), n);
    return product;
}

/// U Uᵀ v.
void precision_times(structure form, std::int64_t d, const double* u, const std::vector<double>& v, double* out) {
    std::ranges::copy(v, out);
    if (form == structure::full) {
        const auto n = static_cast<int>(d);
        const one_blas_thread one;
        cblas_dtrmv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, n, u, n, out, 1);
        cblas_dtrmv(CblasRowMajor, CblasUpper, CblasNoTrans, CblasNonUnit, n, u, n, out, 1);
        return;
    }
    for (std::int64_t j = 0; j < d; ++j) {
        const double factor = form == structure::diagonal ? u[j] : u[0];
        out[j] *= factor * factor;
    }
}

} // namespace

double parameter_gradient::squared_norm() const {
    double sum = 0;
    for (const auto* part : {&logits, &means, &factors})
        sum += std::inner_product(part->begin(), part->end(), part->begin(), 0.0);
    return sum;
}

expected_log_joint::expected_log_joint(const gmm_shape& shape, const gmm_parameters& current, std::vector<double> sums,
                                       std::vector<double> scatter, std::vector<double> lambda)
    : shape_(shape), geometry_(geometry(shape.family)), d_(shape.dimensions), size_(statistics_size(shape.family, d_)),
      current_means_(current.means), sums_(std::move(sums)), scatter_(std::move(scatter)), lambda_(std::move(lambda)) {
    lambda_.resize(d_, 0);
    if (geometry_.spherical()) // these take its mean
        std::ranges::fill(lambda_, std::accumulate(lambda_.begin(), lambda_.end(), 0.0) / static_cast<double>(d_));
}

/// Σ w r (x − μ)(x − μ)ᵀ about a new mean: with δ = μ − μ_k and the sums f, S about μ_k: S − f δᵀ − δ fᵀ + N δ δᵀ.
std::vector<double> expected_log_joint::second_about(std::int64_t k, const double* mean) const {
    const double* stats = &sums_[k * size_];
    std::vector<double> second(stats + 1 + d_, stats + size_), delta(d_);
    for (std::int64_t j = 0; j < d_; ++j)
        delta[j] = mean[j] - current_means_[k * d_ + j];
    for_each_product(geometry_.form, d_, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
        second[at] += stats[0] * delta[i] * delta[j] - stats[1 + i] * delta[j] - delta[i] * stats[1 + j];
    });
    return second;
}

/// The sum of these over the components of a tied family: G − Σ_k (g μᵀ + μ gᵀ − N μ μᵀ), g = Σ w r x.
std::vector<double> expected_log_joint::pooled_second(const std::vector<double>& means) const {
    std::vector<double> pooled = scatter_;
    for (std::int64_t k = 0; k < shape_.components; ++k) {
        const double *stats = &sums_[k * size_], *mean = &means[k * d_], *before = &current_means_[k * d_];
        const auto first = [&](std::int64_t j) { return stats[1 + j] + stats[0] * before[j]; };
        for_each_product(geometry_.form, d_, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
            pooled[at] += stats[0] * mean[i] * mean[j] - first(i) * mean[j] - mean[i] * first(j);
        });
    }
    return pooled;
}

/// N Σ_i ln U_ii − ½ tr(Uᵀ M U), the penalty ½ N tr(Uᵀ λ U), and the derivative of their difference where one is
/// wanted: N − U_ii (M' U)_ii for ln U_ii and −(M' U)_ij above the diagonal, M' = M + N λ. A spherical factor stands
/// for d equal ones.
expected_log_joint::value expected_log_joint::evaluate_factor(double count, std::vector<double> second, const double* u,
                                                              double* derivative) const {
    double log_determinant = 0, quadratic = 0, penalty = 0;
    for_each_product(geometry_.form, d_, [&](std::int64_t i, std::int64_t j, std::int64_t at) {
        if (i == j)
            second[at] += count * lambda_[i];
    });
    if (geometry_.matrix()) {
        const std::vector<double> product = symmetric_times(second, u, d_);
        for (std::int64_t i = 0; i < d_; ++i)
            for (std::int64_t j = i; j < d_; ++j) {
                const double value = u[i * d_ + j], slope = product[i * d_ + j];
                quadratic += value * slope;
                penalty += lambda_[i] * value * value;
                log_determinant += i == j ? std::log(value) : 0;
                if (derivative)
                    derivative[i * d_ + j] = i == j ? count - value * slope : -slope;
            }
    } else {
        const std::int64_t numbers = geometry_.size(d_);
        const auto times = static_cast<double>(geometry_.repeats(d_));
        for (std::int64_t j = 0; j < numbers; ++j) {
            const double square = u[j] * u[j];
            quadratic += square * second[j];
            penalty += times * square * lambda_[j];
            log_determinant += times * std::log(u[j]);
            if (derivative)
                derivative[j] = times * count - square * second[j];
        }
    }
    penalty *= 0.5 * count;
    return {count * log_determinant - 0.5 * quadratic + penalty, penalty};
}

expected_log_joint::value expected_log_joint::at(const gmm_parameters& p, parameter_gradient* gradient) const {
    const bool tied = geometry_.tied;
    const double half_log_two_pi = 0.5 * std::log(2 * std::numbers::pi) * static_cast<double>(d_);
    if (gradient) {
        gradient->logits.assign(p.log_weights.size(), 0);
        gradient->means.assign(p.means.size(), 0);
        gradient->factors.assign(p.precision_cholesky.size(), 0);
    }
    double total = 0;
    for (std::int64_t k = 0; k < shape_.components; ++k)
        total += count(k);
    value sum;
    const auto add_factor = [&](double n, std::vector<double> second, std::int64_t at) {
        const value one = evaluate_factor(n, std::move(second), &p.precision_cholesky[at],
                                          gradient ? &gradient->factors[at] : nullptr);
        sum.expected += one.expected;
        sum.penalty += one.penalty;
    };
    for (std::int64_t k = 0; k < shape_.components; ++k) {
        if (std::isinf(p.log_weights[k])) // dropped
            continue;
        const double *mean = &p.means[k * d_], *stats = &sums_[k * size_];
        sum.expected += count(k) * (p.log_weights[k] - half_log_two_pi);
        if (!tied)
            add_factor(count(k), second_about(k, mean), k * geometry_.size(d_));
        if (!gradient)
            continue;
        gradient->logits[k] = count(k) - total * std::exp(p.log_weights[k]);
        std::vector<double> first(stats + 1, stats + 1 + d_);
        for (std::int64_t j = 0; j < d_; ++j)
            first[j] -= count(k) * (mean[j] - current_means_[k * d_ + j]);
        precision_times(geometry_.form, d_, &p.precision_cholesky[k * geometry_.stride(d_)], first,
                        &gradient->means[k * d_]);
    }
    if (tied)
        add_factor(total, pooled_second(p.means), 0);
    return sum;
}

// Fisher's identity: the gradient of log p is that of Q(θ') = E_q[log p(x, z | θ')] at θ' = θ, where q is the posterior
// under θ.
log_likelihood_gradient gradient(const statistics& statistics) {
    const internal::statistics_state& s = statistics.state();
    expects(s.samples > 0, "statistics are empty: accumulate data before gradient");
    const gmm_parameters at = to_frame(s.under, s.frame);
    const expected_log_joint q(s.shape, at, normalized_sums(s.sums, s.shape), s.scatter.values());
    parameter_gradient g;
    q.at(at, &g);
    // Back from the frame: μ = centre + scale μ̃; U_ij = Ũ_ij / scale_i, which leaves d log U_ii as it is.
    const std::int64_t d = s.shape.dimensions;
    const std::vector<double>& scale = s.frame.scale;
    for (std::size_t i = 0; i < g.means.size(); ++i)
        g.means[i] /= scale[i % d];
    if (geometry(s.shape.family).matrix())
        for (std::size_t n = 0; n < g.factors.size(); ++n) {
            const std::int64_t i = static_cast<std::int64_t>(n) / d % d;
            if (static_cast<std::int64_t>(n) % d != i)
                g.factors[n] *= scale[i];
        }
    return {std::move(g.logits), std::move(g.means), std::move(g.factors), statistics.total_log_likelihood()};
}

log_likelihood_gradient gradient(const context& ctx, const model& m, const data_source& data,
                                 const sample_weights& weights, const sample_labels& labels) {
    statistics s(m);
    s.accumulate(ctx, data, weights, labels);
    return gradient(s);
}

} // namespace elbo::gmm
