#include "host/latent/factors/profile.hpp"

#include "elbo/error.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <numbers>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Of −E log p: a step that promises less is the last.
constexpr double negligible = 1e-12;
constexpr int most_evaluations = 300;
constexpr double least_damping = 1e-12;
/// Largest change of log ψ in a step: a factor of 20.
constexpr double longest_step = 3;
/// Maxima that differ by less, or by rounding, are equal.
constexpr double equal_maxima = 1e-9;

using matrix = std::vector<double>; ///< row-major

/// Eigenvalues of a symmetric matrix [n x n], ascending; the vectors replace its columns.
std::vector<double> eigensystem(matrix& m, std::int64_t n) {
    std::vector<double> values(n);
    const auto size = static_cast<lapack_int>(n);
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', size, m.data(), size, values.data()) != 0)
        throw error("the eigenvalues of a covariance could not be computed");
    return values;
}

/// X diag(c) Xᵀ for X [d x count].
matrix weighted_square(const matrix& x, const std::vector<double>& c, std::int64_t d) {
    const auto count = static_cast<std::int64_t>(c.size());
    const auto rows = static_cast<int>(d), cols = static_cast<int>(count);
    matrix scaled = x, result(d * d, 0);
    for (std::int64_t i = 0; i < d * count; ++i)
        scaled[i] *= c[i % count];
    if (count > 0)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, rows, cols, 1, scaled.data(), cols, x.data(), cols,
                    0, result.data(), rows);
    return result;
}

/// F, its derivatives and the best loadings at one u.
class profile_point {
public:
    profile_point(const matrix& covariance, std::int64_t d, std::int64_t L, std::vector<double> u)
        : d_(d), latent_(L), u_(std::move(u)), vectors_(covariance) {
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                vectors_[i * d + j] *= std::exp(-(u_[i] + u_[j]) / 2);
        theta_ = eigensystem(vectors_, d);
        rest_ = d;
        while (rest_ > d - L && theta_[rest_ - 1] > 1)
            --rest_;
        value_ = static_cast<double>(d) * std::log(2 * std::numbers::pi);
        for (std::int64_t j = 0; j < d; ++j) {
            theta_[j] = std::max(theta_[j], 0.0);
            value_ += u_[j] + (j < rest_ ? theta_[j] : 1 + std::log(theta_[j]));
        }
        value_ /= 2;
    }

    double value() const { return value_; }
    /// Of the eigenvalues: some units in the last place of the largest ones, which sum to about the trace.
    double rounding() const { return 0x1p-48 * std::accumulate(theta_.begin(), theta_.end(), 1.0); }
    const std::vector<double>& u() const { return u_; }

    std::vector<double> gradient() const {
        std::vector<double> g(d_, 0);
        for (std::int64_t j = 0; j < d_; ++j)
            for (std::int64_t l = 0; l < rest_; ++l)
                g[j] += (1 - theta_[l]) / 2 * vector(j, l) * vector(j, l);
        return g;
    }

    matrix hessian() const {
        matrix x(d_ * rest_);
        for (std::int64_t j = 0; j < d_; ++j)
            for (std::int64_t l = 0; l < rest_; ++l)
                x[j * rest_ + l] = vector(j, l);
        matrix h = weighted_square(x, std::vector<double>(rest_, 0.5), d_);
        const matrix q = weighted_square(x, {theta_.begin(), theta_.begin() + rest_}, d_);
        for (std::int64_t i = 0; i < d_ * d_; ++i)
            h[i] *= q[i];
        std::vector<double> c(rest_);
        for (std::int64_t s = rest_; s < d_; ++s) {
            for (std::int64_t l = 0; l < rest_; ++l) {
                const double apart = theta_[s] - theta_[l]; // 0 where the choice of eigenvectors is arbitrary
                c[l] = apart > 1e-9 * theta_[s] ? (1 - theta_[l]) / 2 * (theta_[s] + theta_[l]) / apart : 0;
            }
            const matrix w = weighted_square(x, c, d_);
            for (std::int64_t i = 0; i < d_ * d_; ++i)
                h[i] += vector(i / d_, s) * vector(i % d_, s) * w[i];
        }
        return h;
    }

    matrix loadings() const {
        matrix a(d_ * latent_, 0);
        for (std::int64_t s = rest_; s < d_; ++s)
            for (std::int64_t j = 0; j < d_; ++j)
                a[j * latent_ + (d_ - 1 - s)] = std::exp(u_[j] / 2) * std::sqrt(theta_[s] - 1) * vector(j, s);
        return a;
    }

private:
    double vector(std::int64_t j, std::int64_t l) const { return vectors_[j * d_ + l]; }

    std::int64_t d_, latent_;
    std::int64_t rest_ = 0; ///< eigenvalues without loadings: the first of theta_
    std::vector<double> u_, theta_;
    matrix vectors_;
    double value_ = 0;
};

/// F about a point to second order, in the coordinates that are free, with |H| for H: it is descended, not solved.
class quadratic_model {
public:
    quadratic_model(const matrix& h, const std::vector<double>& g, const std::vector<bool>& free)
        : d_(static_cast<std::int64_t>(g.size())) {
        for (std::int64_t j = 0; j < d_; ++j)
            if (free[j])
                at_.push_back(j);
        const std::int64_t n = std::ssize(at_);
        if (n == 0)
            return;
        vectors_.resize(n * n), along_.assign(n, 0);
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; j < n; ++j)
                vectors_[i * n + j] = h[at_[i] * d_ + at_[j]];
        curvature_ = eigensystem(vectors_, n);
        for (std::int64_t s = 0; s < n; ++s) {
            curvature_[s] = std::abs(curvature_[s]);
            for (std::int64_t i = 0; i < n; ++i)
                along_[s] += vectors_[i * n + s] * g[at_[i]];
        }
    }

    /// What Newton's step promises, twice.
    double decrement() const {
        double sum = 0;
        for (std::size_t s = 0; s < along_.size(); ++s)
            sum += along_[s] * along_[s] / (curvature_[s] + least_damping);
        return sum;
    }

    /// −(|H| + μI)⁻¹ g, at most longest_step in each coordinate.
    std::vector<double> step(double damping) const {
        const std::int64_t n = std::ssize(at_);
        std::vector<double> result(d_, 0);
        for (std::int64_t s = 0; s < n; ++s)
            for (std::int64_t i = 0; i < n; ++i)
                result[at_[i]] -= vectors_[i * n + s] * along_[s] / (curvature_[s] + damping);
        double longest = 0;
        for (const double v : result)
            longest = std::max(longest, std::abs(v));
        for (double& v : result)
            v *= longest > longest_step ? longest_step / longest : 1;
        return result;
    }

private:
    std::int64_t d_;
    std::vector<std::int64_t> at_;
    matrix vectors_;
    std::vector<double> curvature_, along_;
};

/// Shares of the variances drawn from a seed.
std::vector<double> random_noise(const matrix& s, std::int64_t d, std::uint64_t seed) {
    std::vector<double> noise(d);
    for (std::int64_t j = 0; j < d; ++j) {
        const philox_block words = random_block(seed, random_purpose::centre_choice, static_cast<std::uint64_t>(j));
        noise[j] = s[j * d + j] * (0.02 + 0.98 * uniform_double(words.word[0], words.word[1]));
    }
    return noise;
}

/// What the L principal axes leave of the variances.
std::vector<double> principal_noise(const matrix& s, std::int64_t d, std::int64_t L) {
    matrix vectors = s;
    const std::vector<double> values = eigensystem(vectors, d);
    std::vector<double> noise(d, 0);
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < d - L; ++l)
            noise[j] += std::max(0.0, values[l]) * vectors[j * d + l] * vectors[j * d + l];
    return noise;
}

/// (1 − L / 2d) / (S⁻¹)_jj, from eigenvalues of which the smallest are raised.
std::vector<double> regression_noise(const matrix& s, std::int64_t d, std::int64_t L) {
    matrix vectors = s;
    const std::vector<double> values = eigensystem(vectors, d);
    const double least = 1e-6 * std::max(values.back(), 0x1p-40);
    std::vector<double> noise(d, 0);
    for (std::int64_t j = 0; j < d; ++j) {
        double inverse = 0;
        for (std::int64_t l = 0; l < d; ++l)
            inverse += vectors[j * d + l] * vectors[j * d + l] / std::max(values[l], least);
        noise[j] = (1 - static_cast<double>(L) / static_cast<double>(2 * d)) / inverse;
    }
    return noise;
}

} // namespace

profile_maximum maximize_profile(const matrix& s, std::int64_t d, std::int64_t L, const std::vector<double>& noise,
                                 const std::vector<double>& floor) {
    const one_blas_thread guard;
    std::vector<double> least(d), most(d), u(d);
    for (std::int64_t j = 0; j < d; ++j) {
        least[j] = std::log(floor[j]);
        most[j] = std::max(least[j], std::log(std::max(s[j * d + j], floor[j])));
        u[j] = std::clamp(std::log(std::max(noise[j], floor[j])), least[j], most[j]);
    }
    profile_point at(s, d, L, u);
    double damping = 1e-2;
    int evaluations = 1;
    for (bool last = false; !last && evaluations < most_evaluations;) {
        const std::vector<double> g = at.gradient();
        std::vector<bool> free(d);
        for (std::int64_t j = 0; j < d; ++j)
            free[j] = !(at.u()[j] <= least[j] && g[j] > 0) && !(at.u()[j] >= most[j] && g[j] < 0);
        const quadratic_model model(at.hessian(), g, free);
        last = model.decrement() < negligible;
        for (bool taken = false; !taken && evaluations < most_evaluations; ++evaluations) {
            const std::vector<double> step = model.step(last ? least_damping : damping);
            double promised = 0;
            for (std::int64_t j = 0; j < d; ++j) {
                u[j] = std::clamp(at.u()[j] + step[j], least[j], most[j]);
                promised -= g[j] * (u[j] - at.u()[j]);
            }
            profile_point next(s, d, L, u);
            // Of the last step rounding hides the gain.
            taken = next.value() <= at.value() + (last ? at.rounding() : -1e-4 * promised);
            if (taken)
                at = std::move(next);
            damping = taken ? std::max(damping / 4, least_damping) : damping * 8;
            taken = taken || last;
        }
    }
    std::vector<double> found(d);
    std::ranges::transform(at.u(), found.begin(), [](double v) { return std::exp(v); });
    return {std::move(found), at.loadings(), -at.value(), at.rounding()};
}

profile_maximum best_profile(const matrix& s, std::int64_t d, std::int64_t L, const std::vector<double>& floor,
                             std::uint64_t seed, bool first_restart) {
    const one_blas_thread guard;
    std::vector<std::vector<double>> beginnings;
    if (first_restart) {
        std::vector<double> variance(d);
        for (std::int64_t j = 0; j < d; ++j)
            variance[j] = s[j * d + j];
        beginnings = {std::move(variance), principal_noise(s, d, L), regression_noise(s, d, L)};
    }
    // Where a step costs more there are fewer of them.
    const std::int64_t most = std::clamp<std::int64_t>((std::int64_t(1) << 20) / (d * d * d), 2, 6);
    if (std::ssize(beginnings) > most)
        beginnings.resize(most);
    for (std::uint64_t i = 0; std::ssize(beginnings) < most; ++i)
        beginnings.push_back(random_noise(s, d, seed + (i << 32)));
    profile_maximum best;
    for (std::size_t i = 0; i < beginnings.size(); ++i) {
        profile_maximum found = maximize_profile(s, d, L, beginnings[i], floor);
        if (i == 0 ||
            found.log_likelihood > best.log_likelihood + std::max(equal_maxima, best.rounding + found.rounding))
            best = std::move(found);
    }
    return best;
}

} // namespace elbo::latent
