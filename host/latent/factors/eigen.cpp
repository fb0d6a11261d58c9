#include "host/latent/factors/eigen.hpp"

#include "elbo/error.hpp"
#include "host/gmm/start/start.hpp"
#include "host/latent/factors/profile.hpp"
#include "host/latent/factors/start.hpp"
#include "host/latent/factors/update.hpp"
#include "kernels/math/stopping.hpp"
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

constexpr std::int64_t largest_matrix = 1024;
constexpr std::int64_t largest_gram = 4096;
/// Columns of the subspace iteration beyond those wanted: convergence goes with λ_{columns + 1} / λ_L.
constexpr std::int64_t extra_columns = 10;

/// Leading eigenpairs of the covariance, its mean and trace.
struct leading {
    std::vector<double> values;  ///< [L] descending
    std::vector<double> vectors; ///< [d x L]
    std::vector<double> mean;    ///< [d]
    double trace = 0;
};

/// The `count` largest eigenvalues, descending, and the vectors as columns, of a symmetric matrix [n x n].
void largest_eigenpairs(std::vector<double> matrix, std::int64_t n, std::int64_t count, std::vector<double>& values,
                        std::vector<double>& vectors) {
    const auto size = static_cast<lapack_int>(n), wanted = static_cast<lapack_int>(count);
    std::vector<double> ascending(n), columns(n * count);
    std::vector<lapack_int> support(2 * count);
    lapack_int found = 0;
    if (LAPACKE_dsyevr(LAPACK_ROW_MAJOR, 'V', 'I', 'U', size, matrix.data(), size, 0, 0, size - wanted + 1, size, 0,
                       &found, ascending.data(), columns.data(), wanted, support.data()) != 0)
        throw error("the eigenvalues of the covariance could not be computed");
    values.resize(count), vectors.resize(n * count);
    for (std::int64_t l = 0; l < count; ++l) {
        values[l] = ascending[count - 1 - l];
        for (std::int64_t j = 0; j < n; ++j)
            vectors[j * count + l] = columns[j * count + count - 1 - l];
    }
}

/// A Gaussian without precision, whose pass multiplies the scatter matrix by q [d x count].
latent_parameters multiplication(std::vector<double> q, std::int64_t d, std::int64_t count) {
    return {{d, 1, count}, {0.0}, std::vector<double>(d, 0), std::vector<double>(d, 0), std::move(q)};
}

/// Covariance times q, [d x count]; sets mean and trace.
std::vector<double> covariance_times(factor_rows& rows, const std::vector<double>& q, std::int64_t count,
                                     leading& found) {
    const std::int64_t d = rows.feed().data().cols();
    const latent_parameters p = multiplication(q, d, count);
    component_moments m = moments_of(rows.sums(p).data(), p, 0);
    found.mean = std::move(m.mean);
    found.trace = std::accumulate(m.variance.begin(), m.variance.end(), 0.0);
    return std::move(m.products);
}

std::vector<double> covariance_of(factor_rows& rows, leading& found) {
    const std::int64_t d = rows.feed().data().cols();
    std::vector<double> identity(d * d, 0);
    for (std::int64_t j = 0; j < d; ++j)
        identity[j * d + j] = 1;
    return covariance_times(rows, identity, d, found);
}

leading of_matrix(factor_rows& rows, std::int64_t L) {
    leading found;
    largest_eigenpairs(covariance_of(rows, found), rows.feed().data().cols(), L, found.values, found.vectors);
    return found;
}

leading of_gram(factor_rows& rows, std::int64_t L) {
    // All rows of positive weight: as many as there are is never too many here.
    const gmm::start_sample s =
        gmm::draw_start_sample(rows.feed(), rows.frame(), rows.summary(), rows.summary().positive_rows, 0);
    const std::int64_t d = s.cols, n = s.rows, count = std::min(L, n);
    const auto size = static_cast<int>(n), cols = static_cast<int>(d), wanted = static_cast<int>(count);
    leading found;
    found.mean.assign(d, 0);
    for (std::int64_t i = 0; i < n * d; ++i)
        found.mean[i % d] += s.weights[i / d] / static_cast<double>(n) * s.x[i];
    std::vector<double> z(n * d), gram(n * n), vectors;
    for (std::int64_t i = 0; i < n * d; ++i) {
        z[i] = std::sqrt(s.weights[i / d] / static_cast<double>(n)) * (s.x[i] - found.mean[i % d]);
        found.trace += z[i] * z[i];
    }
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, size, cols, 1, z.data(), cols, 0, gram.data(), size);
    largest_eigenpairs(std::move(gram), n, count, found.values, vectors);
    std::vector<double> directions(d * count);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, cols, wanted, size, 1, z.data(), cols, vectors.data(), wanted,
                0, directions.data(), wanted);
    // v = Zᵀu / √λ; beyond the rank of the data there is no direction, nor a loading for it.
    found.values.resize(L, 0);
    found.vectors.assign(d * L, 0);
    const double negligible = found.trace * 0x1p-40;
    for (std::int64_t l = 0; l < count; ++l)
        for (std::int64_t j = 0; found.values[l] > negligible && j < d; ++j)
            found.vectors[j * L + l] = directions[j * count + l] / std::sqrt(found.values[l]);
    return found;
}

double mean_noise(const leading& found, std::int64_t d, std::int64_t L) {
    const double explained = std::accumulate(found.values.begin(), found.values.begin() + L, 0.0);
    return (found.trace - explained) / static_cast<double>(d - L);
}

/// The mean log-likelihood at the maximum: a function of the eigenvalues alone.
double log_likelihood(const leading& found, std::int64_t d, std::int64_t L, double noise_floor) {
    const double noise = std::max(mean_noise(found, d, L), noise_floor);
    double sum =
        static_cast<double>(d) * (1 + std::log(2 * std::numbers::pi)) + static_cast<double>(d - L) * std::log(noise);
    for (std::int64_t l = 0; l < L; ++l)
        sum += std::log(std::max(found.values[l], noise));
    return -sum / 2;
}

/// Random columns [d x count] of which the first L are those of `first`, if there are any.
std::vector<double> first_columns(std::int64_t d, std::int64_t L, std::int64_t count, std::uint64_t seed,
                                  const std::vector<double>* first) {
    std::vector<double> q = random_matrix(d, count, seed);
    for (std::int64_t j = 0; first && j < d; ++j)
        std::copy_n(&(*first)[j * L], L, &q[j * count]);
    return orthonormal(std::move(q), d, count);
}

leading of_subspace(factor_rows& rows, std::int64_t L, double noise_floor, double tolerance,
                    std::int64_t max_iterations, std::uint64_t seed, const std::vector<double>* first,
                    eigen_solution& solution) {
    const std::int64_t d = rows.feed().data().cols(), count = eigen_columns(eigen_way::subspace, d, L);
    const auto cols = static_cast<int>(d), size = static_cast<int>(count);
    // Columns that are nearly right hide for some passes that others would be better.
    const std::int64_t least_passes = first ? 8 : 1;
    std::vector<double> q = first_columns(d, L, count, seed, first);
    stopping_state state;
    solution.converged = false;
    for (;;) {
        leading found;
        std::vector<double> y = covariance_times(rows, q, count, found);
        ++solution.passes;
        std::vector<double> small(count * count), turn;
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, size, cols, 1, q.data(), size, y.data(), size, 0,
                    small.data(), size);
        largest_eigenpairs(std::move(small), count, L, found.values, turn);
        solution.converged =
            should_stop(state, log_likelihood(found, d, L, noise_floor), tolerance, solution.passes < least_passes);
        if (solution.converged || solution.passes >= max_iterations) {
            found.vectors.resize(d * L);
            const auto wanted = static_cast<int>(L);
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, cols, wanted, size, 1, q.data(), size, turn.data(),
                        wanted, 0, found.vectors.data(), wanted);
            return found;
        }
        q = orthonormal(std::move(y), d, count);
    }
}

/// For PPCA the covariance itself where a pass for it costs about what EM did before, else products with it.
eigen_way ascent_way(std::int64_t d, std::int64_t L) {
    const bool cheap = d <= std::clamp<std::int64_t>(32 * L, 256, 1024);
    return cheap || eigen_columns(eigen_way::subspace, d, L) == d ? eigen_way::matrix : eigen_way::subspace;
}

} // namespace

eigen_way choose_eigen_way(std::int64_t rows, std::int64_t d, std::int64_t latent) {
    if (d <= largest_matrix || eigen_columns(eigen_way::subspace, d, latent) == d)
        return eigen_way::matrix;
    return rows < d && rows <= largest_gram ? eigen_way::gram : eigen_way::subspace;
}

std::int64_t eigen_columns(eigen_way way, std::int64_t d, std::int64_t latent) {
    return way == eigen_way::matrix ? d : way == eigen_way::subspace ? std::min(d, 2 * latent + extra_columns) : latent;
}

eigen_solution solve_by_eigen(factor_rows& rows, eigen_way way, std::int64_t L, double noise_floor, double tolerance,
                              std::int64_t max_iterations, std::uint64_t seed, const std::vector<double>* first) {
    const one_blas_thread guard;
    const std::int64_t d = rows.feed().data().cols();
    eigen_solution solution;
    leading found;
    if (way == eigen_way::subspace)
        found = of_subspace(rows, L, noise_floor, tolerance, max_iterations, seed, first, solution);
    else {
        found = way == eigen_way::matrix ? of_matrix(rows, L) : of_gram(rows, L);
        solution.passes = 1;
    }
    const double noise = mean_noise(found, d, L);
    solution.floored = !(noise > noise_floor);
    factor_values& v = solution.values;
    v = {factor_kind::ppca,
         false,
         {d, 1, L},
         {1.0},
         found.mean,
         found.vectors,
         std::vector<double>(d, std::max(noise, noise_floor))};
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < L; ++l)
            v.loadings[j * L + l] *= std::sqrt(std::max(0.0, found.values[l] - v.noise[0]));
    return solution;
}

std::int64_t ascent_columns(factor_kind kind, std::int64_t d, std::int64_t L, std::int64_t components) {
    if (components > 1)
        return 0;
    if (kind == factor_kind::ppca)
        return eigen_columns(ascent_way(d, L), d, L);
    return d <= most_profile_columns ? d : 0;
}

std::optional<factor_values> higher_values(factor_rows& rows, const factor_values& v, const ascent_rule& rule) {
    const std::int64_t d = v.shape.dimensions, L = v.shape.latent;
    if (ascent_columns(v.kind, d, L, v.shape.components) == 0)
        return std::nullopt;
    if (v.kind == factor_kind::ppca)
        return solve_by_eigen(rows, ascent_way(d, L), L, rule.noise_floor[0], rule.tolerance, rule.max_passes,
                              rule.seed, &v.loadings)
            .values;
    factor_values higher = v;
    leading found;
    const std::vector<double> covariance = covariance_of(rows, found);
    profile_maximum best = maximize_profile(covariance, d, L, v.noise, rule.noise_floor);
    higher.means = std::move(found.mean);
    higher.noise = std::move(best.noise);
    higher.loadings = std::move(best.loadings);
    return higher;
}

} // namespace elbo::latent
