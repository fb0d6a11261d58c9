#include "host/gmm/start/start.hpp"

#include "elbo/error.hpp"
#include "host/gmm/start/kmeans.hpp"
#include "host/gmm/start/start_labels.hpp"
#include "host/gmm/start/start_trial.hpp"
#include "host/rows/regularization.hpp"
#include "kernels/math/philox.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <limits>
#include <numeric>
#include <optional>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Below this many (row, dimension, component) triples several k-means runs cost next to nothing.
constexpr std::int64_t small_start = 1 << 18;
/// Below this many (row, dimension², component) products some EM steps on each candidate do, too.
constexpr std::int64_t tiny_start = 1 << 14;
constexpr int tiny_start_steps = 8;
/// Trials of a start, the EM steps of each, and nats a row within which they are equal. With 700 rows of htru2 and
/// three diagonal components one start at samples of ten reaches the best optimum that is known, and six of ten of
/// eight such trials; steps beyond twenty do not change which of the trials leads.
constexpr std::uint64_t trials_of_a_start = 8;
constexpr int trial_steps = 20;
constexpr double equal_trials = 1e-6;

/// Weighted moments of a set of rows about their mean.
struct moments {
    double weight = 0;
    std::vector<double> mean;       ///< [d]
    std::vector<double> covariance; ///< [d x d], or variances [d] where a diagonal is all that is needed
};

/// Moments of the rows with r > 0, each counted w·r times. The rows are gathered, so that a matrix product does the
/// work.
moments weighted_moments(const start_sample& s, const std::vector<double>& r, bool matrix) {
    const std::int64_t d = s.cols;
    moments m{0, std::vector<double>(d, 0), std::vector<double>(matrix ? d * d : d, 0)};
    for (std::int64_t n = 0; n < s.rows; ++n) {
        const double w = s.weights[n] * r[n];
        m.weight += w;
        for (std::int64_t j = 0; w > 0 && j < d; ++j)
            m.mean[j] += w * s.x[n * d + j];
    }
    if (!(m.weight > 0))
        return m;
    for (double& v : m.mean)
        v /= m.weight;
    std::vector<double> centred;
    if (matrix)
        centred.reserve(static_cast<std::size_t>(d * std::ranges::count_if(r, [](double v) { return v > 0; })));
    for (std::int64_t n = 0; n < s.rows; ++n) {
        const double root = std::sqrt(s.weights[n] * r[n]);
        for (std::int64_t j = 0; root > 0 && j < d; ++j) {
            const double z = root * (s.x[n * d + j] - m.mean[j]);
            if (matrix)
                centred.push_back(z);
            else
                m.covariance[j] += z * z / m.weight;
        }
    }
    if (matrix) {
        const auto rows = static_cast<int>(static_cast<std::int64_t>(centred.size()) / d);
        const auto n = static_cast<int>(d);
        const one_blas_thread one;
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, rows, 1 / m.weight, centred.data(), n, 0,
                    m.covariance.data(), n);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < i; ++j)
                m.covariance[i * d + j] = m.covariance[j * d + i];
    }
    return m;
}

/// Moments of the rows that are known to come from component k; of weight 0 where there are none.
moments labelled_moments(const start_sample& s, std::int64_t k) {
    std::vector<double> known(s.rows, 0);
    for (std::size_t n = 0; n < s.labels.size(); ++n)
        known[n] = s.labels[n] == k ? 1 : 0;
    return weighted_moments(s, known, false);
}

double diagonal_of(const moments& m, std::int64_t j) {
    const auto d = static_cast<std::int64_t>(m.mean.size());
    return static_cast<std::int64_t>(m.covariance.size()) == d ? m.covariance[j] : m.covariance[j * d + j];
}

/// U = L^-T of a covariance whose diagonal is raised until it is safely positive definite. Throws elbo::error for one
/// that no ridge helps: it is not finite.
std::vector<double> safe_precision_factor(std::vector<double> c, std::int64_t d) {
    const auto n = static_cast<lapack_int>(d);
    const one_blas_thread one;
    for (double ridge = 0x1p-40; ridge <= 0x1p100; ridge *= 16) {
        std::vector<double> u = c;
        for (std::int64_t i = 0; i < d; ++i)
            u[i * d + i] += ridge * std::max(c[i * d + i], 0x1p-20);
        if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', n, u.data(), n) != 0)
            continue;
        LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', n, u.data(), n);
        for (std::int64_t i = 0; i < d; ++i)
            std::fill_n(u.begin() + i * d, i, 0.0);
        return u;
    }
    throw error("the covariance of the rows that the start looks at is not finite: scale the columns");
}

/// Divided by the standard deviations.
std::vector<double> scaled(const start_sample& s, const moments& total) {
    std::vector<double> y = s.x;
    for (std::int64_t n = 0; n < s.rows; ++n)
        for (std::int64_t j = 0; j < s.cols; ++j)
            y[n * s.cols + j] /= std::sqrt(std::max(diagonal_of(total, j), 0x1p-20));
    return y;
}

/// Decorrelated by the total covariance: y = Uᵀ x.
std::vector<double> whitened(const start_sample& s, const moments& total) {
    const auto d = static_cast<int>(s.cols);
    std::vector<double> y = s.x;
    const std::vector<double> u = safe_precision_factor(total.covariance, s.cols);
    const one_blas_thread one;
    cblas_dtrmm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(s.rows), d, 1,
                u.data(), d, y.data(), d);
    return y;
}

/// Coordinates in which distance means something for the family: the rows as they are for spherical, scaled for the
/// diagonal families. For full and tied there are two that can be right: whitening finds elongated clusters that lie
/// side by side, but hides those that are themselves what makes the data elongated; scaling finds the latter.
enum class coordinates { plain, scaled, whitened };
std::vector<coordinates> distance_coordinates(family f, std::int64_t d) {
    if (geometry(f).spherical())
        return {coordinates::plain};
    if (!geometry(f).matrix() || d == 1)
        return {coordinates::scaled};
    return {coordinates::whitened, coordinates::scaled};
}

/// The rows in such coordinates, in `own` unless they are plain.
const std::vector<double>& rows_in(coordinates c, const start_sample& s, const moments& total,
                                   std::vector<double>& own) {
    if (c == coordinates::plain)
        return s.x;
    own = {}; // before, so that both are never held
    own = c == coordinates::scaled ? scaled(s, total) : whitened(s, total);
    return own;
}

/// Gathers covariances into the factors of the family.
class factor_builder {
public:
    factor_builder(family f, std::int64_t d, const std::vector<double>& lambda) : f_(f), d_(d), lambda_(lambda) {
        mean_lambda_ = std::accumulate(lambda.begin(), lambda.end(), 0.0) / static_cast<double>(d);
    }
    /// Appends the factor of a covariance ([d x d] or [d], without λ).
    void append(std::vector<double> c, std::vector<double>& factors) const {
        if (geometry(f_).matrix()) {
            for (std::int64_t j = 0; j < d_; ++j)
                c[j * d_ + j] += lambda_[j];
            const std::vector<double> u = safe_precision_factor(std::move(c), d_);
            factors.insert(factors.end(), u.begin(), u.end());
        } else if (!geometry(f_).spherical()) {
            for (std::int64_t j = 0; j < d_; ++j)
                factors.push_back(inverse_deviation(c[j] + lambda_[j]));
        } else {
            double sum = 0;
            for (double v : c)
                sum += v;
            factors.push_back(inverse_deviation(sum / static_cast<double>(d_) + mean_lambda_));
        }
    }

private:
    static double inverse_deviation(double variance) { return 1 / std::sqrt(std::max(variance, 0x1p-40)); }
    family f_;
    std::int64_t d_;
    const std::vector<double>& lambda_;
    double mean_lambda_ = 0;
};

/// M-step from first responsibilities. A component with few rows borrows from the pooled covariance, as if d + 1 rows
/// of the sample came from there: without it a cluster of a few rows would begin singular.
gmm_parameters parameters_from(const start_sample& s, const gmm_shape& shape, const first_responsibilities& r,
                               const std::vector<double>& lambda) {
    const std::int64_t d = s.cols;
    const bool matrix = geometry(shape.family).matrix();
    std::vector<moments> each;
    std::vector<double> pooled(matrix ? d * d : d, 0);
    double total = 0;
    for (std::int64_t k = 0; k < shape.components; ++k) {
        each.push_back(weighted_moments(s, r.of(k), matrix));
        for (std::size_t i = 0; i < pooled.size(); ++i)
            pooled[i] += each.back().weight * each.back().covariance[i];
        // A cluster without rows begins at the centre of the data with the weight of one row, not as a dead component.
        each.back().weight = std::max(each.back().weight, 1.0);
        total += each.back().weight;
    }
    for (double& v : pooled)
        v /= total;

    const factor_builder builder(shape.family, d, lambda);
    const double borrowed = static_cast<double>(d + 1);
    gmm_parameters p;
    for (moments& m : each) {
        p.log_weights.push_back(std::log(m.weight / total));
        p.means.insert(p.means.end(), m.mean.begin(), m.mean.end());
        if (is_tied(shape.family))
            continue;
        const double share = m.weight / (m.weight + borrowed);
        for (std::size_t i = 0; i < pooled.size(); ++i)
            m.covariance[i] = share * m.covariance[i] + (1 - share) * pooled[i];
        builder.append(m.covariance, p.precision_cholesky);
    }
    if (is_tied(shape.family))
        builder.append(pooled, p.precision_cholesky);
    return p;
}

/// Random rows as means, the covariance of the data for all. The mean of the rows that are known to come from a
/// component, where there are some.
gmm_parameters parameters_from_rows(const start_sample& s, const gmm_shape& shape, const std::vector<double>& lambda,
                                    const moments& total, std::uint64_t seed) {
    // The k rows with the smallest Philox keys: k different rows.
    std::vector<std::pair<double, std::int64_t>> keys;
    const bool some_unknown = std::ranges::find(s.labels, -1) != s.labels.end();
    for (std::int64_t n = 0; n < s.rows; ++n) {
        if (some_unknown && s.labels[n] >= 0)
            continue;
        const philox_block words = random_block(seed, random_purpose::centre_choice, n);
        keys.emplace_back(uniform_double(words.word[0], words.word[1]), n);
    }
    std::ranges::sort(keys);
    const factor_builder builder(shape.family, s.cols, lambda);
    gmm_parameters p;
    for (std::int64_t k = 0; k < shape.components; ++k) {
        const moments labelled = labelled_moments(s, k);
        const double* row = &s.x[keys[k % std::ssize(keys)].second * s.cols];
        const double* mean = labelled.weight > 0 ? labelled.mean.data() : row;
        p.log_weights.push_back(-std::log(static_cast<double>(shape.components)));
        p.means.insert(p.means.end(), mean, mean + s.cols);
        if (!is_tied(shape.family) || k == 0)
            builder.append(total.covariance, p.precision_cholesky);
    }
    return p;
}

/// The best of some k-means starts by the likelihood of what they begin with: several where they cost next to nothing.
/// Where a problem is tiny every other one does without Lloyd's iterations (their optimum is not always a good start)
/// and they are compared after some steps of EM.
gmm_parameters kmeans_parameters(const context& ctx, const start_sample& s, const gmm_shape& shape,
                                 const start_choice& choice, const std::vector<double>& lambda, const moments& total) {
    std::vector<coordinates> ways = distance_coordinates(shape.family, s.cols);
    if (shape.components == 1)
        ways.resize(1); // one cluster is the same in any coordinates
    const std::int64_t size = s.rows * s.cols * shape.components;
    const bool tiny = size * s.cols <= tiny_start;
    const std::uint64_t tries = shape.components == 1 ? 1 : tiny ? 4 : size <= small_start ? 3 : 1;
    const auto engine = make_kmeans_engine(ctx);
    std::optional<labelled_kmeans> labelled;
    if (!s.labels.empty())
        labelled.emplace(s, shape.components);
    std::optional<gmm_parameters> best; // the first also where its likelihood is not a number
    double best_likelihood = 0;
    std::vector<double> own;
    for (const coordinates way : ways) {
        const std::vector<double>& y = rows_in(way, s, total, own);
        if (labelled)
            labelled->load(*engine, y);
        else
            engine->load(y.data(), s.weights.data(), s.rows, s.cols);
        for (std::uint64_t attempt = 0; attempt < tries; ++attempt) {
            const bool full_kmeans = choice.method == start_method::kmeans && !(tiny && attempt % 2 == 1);
            first_responsibilities r(s, shape.components);
            const std::uint64_t own_seed = choice.seed + (attempt << 32);
            r.use_clusters(labelled ? labelled->cluster(*engine, choice.greedy, own_seed)
                                    : kmeans_labels(*engine, y, s.cols, shape.components, choice.greedy, own_seed,
                                                    full_kmeans ? lloyd_iterations : 1));
            gmm_parameters p = parameters_from(s, shape, r, lambda);
            if (tiny && ways.size() * tries > 1)
                p = after_some_steps(s, shape, p, lambda, tiny_start_steps);
            const double likelihood = ways.size() * tries == 1 ? 0 : sample_log_likelihood(s, shape, p);
            if (!best || likelihood > best_likelihood)
                best = std::move(p), best_likelihood = likelihood;
        }
    }
    return std::move(*best);
}

gmm_parameters one_start(const context& ctx, const start_sample& s, const gmm_shape& shape, const start_choice& choice,
                         const std::vector<double>& lambda, const moments& total) {
    if (choice.method == start_method::samples)
        return parameters_from_rows(s, shape, lambda, total, choice.seed);
    if (choice.method == start_method::random) {
        first_responsibilities r(s, shape.components);
        r.use_random(choice.seed);
        return parameters_from(s, shape, r, lambda);
    }
    return kmeans_parameters(ctx, s, shape, choice, lambda, total);
}

} // namespace

std::int64_t start_host_bytes(const gmm_shape& shape, start_method method, std::int64_t sample_rows) {
    const bool matrix = geometry(shape.family).matrix();
    const bool clusters = method != start_method::samples && method != start_method::random;
    const bool moved = clusters && distance_coordinates(shape.family, shape.dimensions).front() != coordinates::plain;
    // The sample, its coordinates, the rows about their mean; some numbers for each row.
    const std::int64_t rows = sample_rows * (shape.dimensions * (1 + (moved ? 1 : 0) + (matrix ? 1 : 0)) + 6);
    // Moments and parameters of all components, of two candidates.
    const std::int64_t each = shape.dimensions * (matrix ? shape.dimensions + 1 : 2);
    return 8 * (rows + (3 * shape.components + 4) * each);
}

gmm_parameters start_parameters(const context& ctx, const start_sample& s, const gmm_shape& shape,
                                const start_choice& choice, const std::vector<double>& lambda) {
    const moments total = weighted_moments(s, s.usual, geometry(shape.family).matrix());
    gmm_parameters best = one_start(ctx, s, shape, choice, lambda, total);
    if (!choice.trials || shape.components == 1)
        return best;
    const start_sample some = trial_rows(s, shape);
    double best_likelihood = -std::numeric_limits<double>::infinity();
    for (std::uint64_t trial = 0; trial < trials_of_a_start && some.rows > 0; ++trial) {
        start_choice other = choice;
        other.seed += trial << 48;
        gmm_parameters p =
            after_some_steps(some, shape, one_start(ctx, s, shape, other, lambda, total), lambda, trial_steps);
        if (std::ranges::any_of(p.log_weights, [](double w) { return std::isinf(w); }))
            continue; // it lost components on the way
        const double likelihood = sample_log_likelihood(some, shape, p);
        // Trials on the way to one optimum differ by rounding in the end: the first of them is taken.
        if (likelihood > best_likelihood + equal_trials * static_cast<double>(some.rows))
            best = std::move(p), best_likelihood = likelihood;
    }
    return best;
}

} // namespace elbo::gmm
