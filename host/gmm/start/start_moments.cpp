#include "host/gmm/start/start_moments.hpp"

#include "elbo/error.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

moments weighted_moments(const start_sample& s, const std::vector<row_share>& rows, bool matrix) {
    const std::int64_t d = s.cols;
    moments m{0, std::vector<double>(d, 0), std::vector<double>(matrix ? d * d : d, 0)};
    for (const auto& [n, r] : rows) {
        const double w = s.weights[n] * r;
        m.weight += w;
        for (std::int64_t j = 0; j < d; ++j)
            m.mean[j] += w * s.x[n * d + j];
    }
    if (!(m.weight > 0))
        return m;
    for (double& v : m.mean)
        v /= m.weight;
    std::vector<double> centred;
    if (matrix)
        centred.reserve(static_cast<std::size_t>(d * std::ssize(rows)));
    for (const auto& [n, r] : rows) {
        const double root = std::sqrt(s.weights[n] * r);
        for (std::int64_t j = 0; j < d; ++j) {
            const double z = root * (s.x[n * d + j] - m.mean[j]);
            if (matrix)
                centred.push_back(z);
            else
                m.covariance[j] += z * z / m.weight;
        }
    }
    if (matrix) {
        const auto count = static_cast<int>(std::ssize(rows));
        const auto n = static_cast<int>(d);
        const one_blas_thread one;
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, count, 1 / m.weight, centred.data(), n, 0,
                    m.covariance.data(), n);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < i; ++j)
                m.covariance[i * d + j] = m.covariance[j * d + i];
    }
    return m;
}

moments total_moments(const start_sample& s, bool matrix) {
    std::vector<row_share> rows;
    for (std::int64_t n = 0; n < s.rows; ++n)
        if (s.usual[n] > 0)
            rows.push_back({n, s.usual[n]});
    return weighted_moments(s, rows, matrix);
}

moments labelled_moments(const start_sample& s, std::int64_t k) {
    std::vector<row_share> known;
    for (std::size_t n = 0; n < s.labels.size(); ++n)
        if (s.labels[n] == k)
            known.push_back({static_cast<std::int64_t>(n), 1});
    return weighted_moments(s, known, false);
}

namespace {

double diagonal_of(const moments& m, std::int64_t j) {
    const auto d = static_cast<std::int64_t>(m.mean.size());
    return static_cast<std::int64_t>(m.covariance.size()) == d ? m.covariance[j] : m.covariance[j * d + j];
}

/// U = L^-T of a covariance whose diagonal is raised until it is safely positive definite. Throws elbo::error for one
/// that no ridge helps: it is not finite.
std::vector<double> safe_precision_factor(std::vector<double> c, std::int64_t d) {
    const auto n = static_cast<lapack_int>(d);
    const one_blas_thread one;
    for (double ridge = first_ridge; ridge <= largest_ridge; ridge *= ridge_growth) {
        std::vector<double> u = c;
        for (std::int64_t i = 0; i < d; ++i)
            u[i * d + i] += ridge * std::max(c[i * d + i], smallest_total_variance);
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
            y[n * s.cols + j] /= std::sqrt(std::max(diagonal_of(total, j), smallest_total_variance));
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

} // namespace

const std::vector<double>& rows_in(start_coordinates c, const start_sample& s, const moments& total,
                                   std::vector<double>& own) {
    if (c == start_coordinates::plain)
        return s.x;
    own = {}; // before, so that both are never held
    own = c == start_coordinates::scaled ? scaled(s, total) : whitened(s, total);
    return own;
}

factor_builder::factor_builder(family f, std::int64_t d, const std::vector<double>& lambda)
    : f_(f), d_(d), lambda_(lambda),
      mean_lambda_(std::accumulate(lambda.begin(), lambda.end(), 0.0) / static_cast<double>(d)) {}

void factor_builder::append(std::vector<double> c, std::vector<double>& factors) const {
    const auto inverse_deviation = [](double variance) {
        return 1 / std::sqrt(std::max(variance, smallest_start_variance));
    };
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

} // namespace elbo::gmm
