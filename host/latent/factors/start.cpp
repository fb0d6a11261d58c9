#include "host/latent/factors/start.hpp"

#include "host/gmm/start/kmeans.hpp"
#include "host/latent/factors/profile.hpp"
#include "host/rows/restarts.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <numeric>

namespace elbo::latent {

using namespace kernels;

namespace {

/// Multiplications with the scatter matrix before EM, which goes on with the same work.
constexpr int subspace_steps = 4;
/// Noise of a start relative to the variance of the column, at least: away from the floor, which EM leaves slowly.
constexpr double smallest_start_noise = 1e-3;

/// Rows of one cluster, centred and times the root of their weights.
struct cluster {
    double weight = 0;
    std::vector<double> mean, variance; ///< [d]
    std::vector<double> rows;           ///< [count x d]
};

std::vector<std::int32_t> cluster_labels(const context& ctx, const gmm::start_sample& s, std::int64_t components,
                                         std::uint64_t seed) {
    if (components == 1)
        return std::vector<std::int32_t>(s.rows, 0);
    const auto engine = kernels::make_kmeans_engine(ctx);
    engine->load(s.x.data(), s.weights.data(), s.rows, s.cols);
    return gmm::kmeans_labels(*engine, s.rows, components, true, seed);
}

cluster gather(const gmm::start_sample& s, const std::vector<std::int32_t>& labels, std::int32_t label) {
    const std::int64_t d = s.cols;
    cluster c{0, std::vector<double>(d, 0), std::vector<double>(d, 0), {}};
    for (std::int64_t n = 0; n < s.rows; ++n) {
        if (labels[n] != label)
            continue;
        c.weight += s.weights[n];
        for (std::int64_t j = 0; j < d; ++j)
            c.mean[j] += s.weights[n] * s.x[n * d + j];
    }
    if (!(c.weight > 0))
        return c;
    for (double& v : c.mean)
        v /= c.weight;
    for (std::int64_t n = 0; n < s.rows; ++n) {
        if (labels[n] != label)
            continue;
        const double root = std::sqrt(s.weights[n]);
        for (std::int64_t j = 0; j < d; ++j) {
            const double z = root * (s.x[n * d + j] - c.mean[j]);
            c.rows.push_back(z);
            c.variance[j] += z * z / c.weight;
        }
    }
    return c;
}

/// Zᵀ Z Q / weight for the rows Z of a cluster.
std::vector<double> scatter_times(const cluster& c, const std::vector<double>& q, std::int64_t d, std::int64_t L) {
    const auto rows = static_cast<int>(static_cast<std::int64_t>(c.rows.size()) / d), cols = static_cast<int>(d),
               size = static_cast<int>(L);
    std::vector<double> projected(rows * L), y(d * L);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size, cols, 1, c.rows.data(), cols, q.data(), size, 0,
                projected.data(), size);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, cols, size, rows, 1 / c.weight, c.rows.data(), cols,
                projected.data(), size, 0, y.data(), size);
    return y;
}

/// Loadings along the leading principal axes: Q Θ^½ for an orthonormal basis Q of (about) that subspace, with Θ the
/// variances along its axes, by a randomised subspace iteration.
std::vector<double> principal_loadings(const cluster& c, std::int64_t d, std::int64_t L, std::uint64_t seed) {
    std::vector<double> q = orthonormal(random_matrix(d, L, seed), d, L), loadings(d * L);
    if (c.rows.empty())
        return loadings;
    std::vector<double> y;
    for (int step = 0; step < subspace_steps; ++step) {
        y = scatter_times(c, q, d, L);
        if (step + 1 < subspace_steps)
            q = orthonormal(std::move(y), d, L);
    }
    for (std::int64_t l = 0; l < L; ++l) {
        double variance = 0;
        for (std::int64_t j = 0; j < d; ++j)
            variance += q[j * L + l] * y[j * L + l];
        for (std::int64_t j = 0; j < d; ++j)
            loadings[j * L + l] = std::sqrt(std::max(0.0, variance)) * q[j * L + l];
    }
    return loadings;
}

/// Random loadings that explain half of each variance on average.
std::vector<double> random_loadings(const std::vector<double>& variance, std::int64_t L, std::uint64_t seed) {
    const auto d = static_cast<std::int64_t>(variance.size());
    std::vector<double> loadings = random_matrix(d, L, seed);
    for (std::int64_t j = 0; j < d; ++j)
        for (std::int64_t l = 0; l < L; ++l)
            loadings[j * L + l] *= std::sqrt(variance[j] / (2 * static_cast<double>(L)));
    return loadings;
}

/// What the loadings leave of the variances, scaled down where they take more than is there.
void split_variance(const std::vector<double>& variance, const std::vector<double>& floor, std::int64_t L,
                    double* loadings, double* noise) {
    for (std::size_t j = 0; j < variance.size(); ++j) {
        double explained = 0;
        for (std::int64_t l = 0; l < L; ++l)
            explained += loadings[j * L + l] * loadings[j * L + l];
        const double least = std::max(floor[j], smallest_start_noise * variance[j]);
        noise[j] = std::max(least, variance[j] - explained);
        const double most = std::max(0.0, variance[j] - least);
        for (std::int64_t l = 0; explained > most && l < L; ++l)
            loadings[j * L + l] *= std::sqrt(most / explained);
    }
}

/// Covariance of a cluster [d x d], whose variances may have borrowed from others: `share` of them are its own.
std::vector<double> covariance_of(const cluster& c, std::int64_t d, double share) {
    const auto cols = static_cast<int>(d), rows = static_cast<int>(static_cast<std::int64_t>(c.rows.size()) / d);
    std::vector<double> s(d * d, 0);
    if (rows > 0)
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, cols, rows, share / c.weight, c.rows.data(), cols, 0,
                    s.data(), cols);
    for (std::int64_t j = 0; j < d; ++j) {
        s[j * d + j] = c.variance[j];
        for (std::int64_t i = 0; i < j; ++i)
            s[j * d + i] = s[i * d + j];
    }
    return s;
}

/// About the best loadings for noise that is as large as the variances: principal axes of the standardised rows, each
/// shortened by the noise along it.
std::vector<double> standardised_loadings(const cluster& c, std::int64_t d, std::int64_t L, std::uint64_t seed) {
    cluster standard{c.weight, {}, {}, c.rows};
    std::vector<double> deviation(d);
    std::ranges::transform(c.variance, deviation.begin(), [](double v) { return std::sqrt(v); });
    for (std::size_t i = 0; i < standard.rows.size(); ++i)
        standard.rows[i] /= deviation[i % d] > 0 ? deviation[i % d] : 1;
    std::vector<double> loadings = principal_loadings(standard, d, L, seed);
    for (std::int64_t l = 0; l < L; ++l) {
        double theta = 0;
        for (std::int64_t j = 0; j < d; ++j)
            theta += loadings[j * L + l] * loadings[j * L + l];
        // EM could not leave loadings of zero.
        const double shorter = theta > 0 ? std::sqrt(std::max(1 - 1 / theta, 0.1)) : 0;
        for (std::int64_t j = 0; j < d; ++j)
            loadings[j * L + l] *= shorter * deviation[j];
    }
    return loadings;
}

/// Noise that is common to columns or components: the (weighted) mean.
void share_noise(factor_values& v) {
    const std::int64_t d = v.shape.dimensions;
    if (v.own_noise)
        return;
    std::vector<double> pooled(d, 0);
    for (std::size_t i = 0; i < v.noise.size(); ++i)
        pooled[i % d] += v.weights[i / d] * v.noise[i];
    if (v.kind == factor_kind::ppca)
        std::ranges::fill(pooled, std::accumulate(pooled.begin(), pooled.end(), 0.0) / static_cast<double>(d));
    for (std::size_t i = 0; i < v.noise.size(); ++i)
        v.noise[i] = pooled[i % d];
}

} // namespace

std::vector<double> orthonormal(std::vector<double> matrix, std::int64_t d, std::int64_t count) {
    const auto rows = static_cast<lapack_int>(d), cols = static_cast<lapack_int>(count);
    std::vector<double> tau(count);
    LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, rows, cols, matrix.data(), cols, tau.data());
    LAPACKE_dorgqr(LAPACK_ROW_MAJOR, rows, cols, cols, matrix.data(), cols, tau.data());
    return matrix;
}

std::vector<double> random_matrix(std::int64_t d, std::int64_t count, std::uint64_t seed) {
    std::vector<double> values(d * count);
    for (std::int64_t i = 0; i < d * count; i += 2) {
        double pair[2];
        normal_pair(random_block(seed, random_purpose::responsibilities, i), pair[0], pair[1]);
        values[i] = pair[0];
        if (i + 1 < d * count)
            values[i + 1] = pair[1];
    }
    return values;
}

std::int64_t factor_start_rows(std::int64_t components, std::int64_t dimensions) {
    return std::max((std::int64_t(1) << 24) / dimensions, 16 * components);
}

factor_start restart_start(const factor_options& options, std::int64_t restart) {
    using enum factor_start;
    if (options.start != automatic)
        return options.kind == factor_kind::ppca && options.start == conditional ? principal : options.start;
    const auto turn = [restart](std::initializer_list<factor_start> kinds) {
        return kinds.begin()[static_cast<std::size_t>(restart) % kinds.size()];
    };
    if (options.kind == factor_kind::ppca)
        return turn({principal, random});
    return options.components == 1 ? turn({conditional, principal, conditional, random})
                                   : turn({principal, conditional, random});
}

factor_values start_values(const context& ctx, const gmm::start_sample& s, const factor_options& options,
                           const std::vector<double>& noise_floor, std::int64_t restart) {
    const one_blas_thread guard;
    const std::int64_t d = s.cols, K = options.components, L = options.latent;
    const factor_start kind = restart_start(options, restart);
    const std::uint64_t seed = gmm::restart_seed(options.seed, restart);
    factor_values v{options.kind, options.own_noise && K > 1, {d, K, L}, {}, {}, {}, {}};
    const std::vector<std::int32_t> labels = cluster_labels(ctx, s, K, seed);
    std::vector<cluster> clusters;
    std::vector<double> pooled(d, 0);
    double total = 0;
    for (std::int64_t k = 0; k < K; ++k) {
        clusters.push_back(gather(s, labels, static_cast<std::int32_t>(k)));
        const cluster& c = clusters.back();
        for (std::int64_t j = 0; j < d; ++j)
            pooled[j] += c.weight / static_cast<double>(s.rows) * c.variance[j]; // the weights have mean 1
        total += std::max(c.weight, 1.0); // a cluster without rows begins with the weight of one
    }
    v.noise.resize(K * d);
    for (std::int64_t k = 0; k < K; ++k) {
        cluster& c = clusters[k];
        // A cluster of few rows borrows from the others, as if L + 1 rows of the sample came from there.
        const double share = c.weight / (c.weight + static_cast<double>(L + 1));
        for (std::int64_t j = 0; j < d; ++j)
            c.variance[j] = K == 1 ? c.variance[j] : share * c.variance[j] + (1 - share) * pooled[j];
        std::vector<double> loadings;
        if (kind == factor_start::conditional && d <= most_profile_columns) {
            profile_maximum best =
                best_profile(covariance_of(c, d, K == 1 ? 1 : share), d, L, noise_floor, seed + k, restart == 0);
            std::ranges::copy(best.noise, v.noise.begin() + k * d);
            loadings = std::move(best.loadings);
        } else {
            loadings = kind == factor_start::random        ? random_loadings(c.variance, L, seed + k)
                       : kind == factor_start::conditional ? standardised_loadings(c, d, L, seed + k)
                                                           : principal_loadings(c, d, L, seed + k);
            split_variance(c.variance, noise_floor, L, loadings.data(), &v.noise[k * d]);
        }
        v.weights.push_back(std::max(c.weight, 1.0) / total);
        v.means.insert(v.means.end(), c.mean.begin(), c.mean.end());
        v.loadings.insert(v.loadings.end(), loadings.begin(), loadings.end());
    }
    share_noise(v);
    return v;
}

} // namespace elbo::latent
