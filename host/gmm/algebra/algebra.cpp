// Marginals, conditionals and moments. With the columns of a precision factor reordered to (b, a),
//     U = (U_bb U_ba; 0 U_aa),   ‖Uᵀ (x − μ)‖² = ‖U_bbᵀ (x_b − μ_b)‖² + ‖U_baᵀ (x_b − μ_b) + U_aaᵀ (x_a − μ_a)‖²,
// U_bb is the factor of the marginal of b and U_aa that of the conditional of a: the joint density factorises term by
// term.
#include "elbo/gmm/algebra.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/check_array.hpp"

#include <algorithm>
#include <cblas.h>

namespace elbo::gmm {

namespace {

/// Factors of a marginal of a family without matrices: those of the columns.
std::vector<double> gathered_factors(const model& m, const std::vector<std::int64_t>& columns) {
    if (structure_of(m.shape()) == structure::spherical)
        return m.precision_cholesky();
    return gather(m.precision_cholesky(), m.dimensions(), columns);
}

/// What conditioning does to the components.
struct conditioned {
    std::vector<double> log_constants, radii; ///< [k] of the weights, as reweight takes them
    std::vector<double> means, factors;       ///< of the columns that are left
};

/// A family with matrices.
conditioned condition_matrices(const model& m, const std::vector<std::int64_t>& known,
                               const std::vector<std::int64_t>& rest, const std::vector<double>& offsets) {
    const std::int64_t d = m.dimensions(), b = std::ssize(known), a = d - b;
    conditioned result;
    result.means = gather(m.means(), d, rest);
    std::vector<double> u;
    for (std::int64_t k = 0; k < m.components(); ++k) {
        if (k < factor_count(m)) {
            u = reordered_factor(m, k, known, rest);
            const std::vector<double> own = block(u, d, b, a, b, a);
            result.factors.insert(result.factors.end(), own.begin(), own.end());
        }
        const int size = static_cast<int>(d), known_size = static_cast<int>(b), rest_size = static_cast<int>(a);
        std::vector<double> scaled(&offsets[k * b], &offsets[k * b] + b), shift(a, 0);
        cblas_dgemv(CblasRowMajor, CblasTrans, known_size, rest_size, 1, &u[b], size, scaled.data(), 1, 0, shift.data(),
                    1);
        cblas_dtrsv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, rest_size, &u[b * d + b], size, shift.data(),
                    1);
        for (std::int64_t j = 0; j < a; ++j)
            result.means[k * a + j] -= shift[j];
        cblas_dtrmv(CblasRowMajor, CblasUpper, CblasTrans, CblasNonUnit, known_size, u.data(), size, scaled.data(), 1);
        result.radii.push_back(cblas_dnrm2(known_size, scaled.data(), 1));
        result.log_constants.push_back(std::log(m.weights()[k]) + log_sum(diagonal_of(u, d, 0, b)));
    }
    return result;
}

/// A family without: the columns are independent within a component.
conditioned condition_diagonals(const model& m, const std::vector<std::int64_t>& known,
                                const std::vector<std::int64_t>& rest, std::vector<double> offsets) {
    const std::int64_t d = m.dimensions(), b = std::ssize(known);
    conditioned result;
    result.means = gather(m.means(), d, rest);
    result.factors = gathered_factors(m, rest);
    for (std::int64_t k = 0; k < m.components(); ++k) {
        const std::vector<double> u = gather(factor_diagonal(m, k), d, known);
        for (std::int64_t j = 0; j < b; ++j)
            offsets[k * b + j] *= u[j];
        result.radii.push_back(cblas_dnrm2(static_cast<int>(b), &offsets[k * b], 1));
        result.log_constants.push_back(std::log(m.weights()[k]) + log_sum(u));
    }
    return result;
}

} // namespace

model marginal(const model& m, const std::vector<std::int64_t>& columns) {
    const std::int64_t d = m.dimensions(), count = std::ssize(columns);
    check_columns(columns, d);
    std::vector<double> factors;
    if (structure_of(m.shape()) == structure::full) {
        const std::vector<std::int64_t> rest = other_columns(columns, d);
        for (std::int64_t c = 0; c < factor_count(m); ++c) {
            const std::vector<double> own = block(reordered_factor(m, c, columns, rest), d, 0, count, 0, count);
            factors.insert(factors.end(), own.begin(), own.end());
        }
    } else {
        factors = gathered_factors(m, columns);
    }
    return model::from_precision_cholesky(m.shape(), count, m.weights(), gather(m.means(), d, columns),
                                          std::move(factors));
}

model conditional(const model& m, const std::vector<std::int64_t>& columns, const std::vector<double>& values) {
    const std::int64_t d = m.dimensions(), b = std::ssize(columns);
    check_columns(columns, d);
    expects(b < d, [&] { return fmt::format("columns names all {} dimensions: expected at least one to be left", d); });
    check_size("values", values.size(), b, "columns");
    check_finite("values", values);
    std::vector<double> offsets = gather(m.means(), d, columns);
    for (std::size_t i = 0; i < offsets.size(); ++i)
        offsets[i] = values[i % b] - offsets[i];
    const std::vector<std::int64_t> rest = other_columns(columns, d);
    const bool matrices = structure_of(m.shape()) == structure::full;
    conditioned parts = matrices ? condition_matrices(m, columns, rest, offsets)
                                 : condition_diagonals(m, columns, rest, std::move(offsets));
    for (const std::vector<double>* numbers : {&parts.radii, &parts.means})
        expects(std::ranges::all_of(*numbers, [](double v) { return std::isfinite(v); }), [&] {
            return fmt::format("values (the first is {}): expected values near enough to the means for the conditional "
                               "means and distances to be finite",
                               values[0]);
        });
    return model::from_precision_cholesky(m.shape(), d - b, reweight(parts.log_constants, parts.radii).weights,
                                          std::move(parts.means), std::move(parts.factors));
}

moments_result moments(const model& m) {
    const std::int64_t d = m.dimensions();
    moments_result result{std::vector<double>(d, 0), std::vector<double>(d * d, 0)};
    // Relative to the first mean, so that data far from the origin costs no digits.
    std::vector<double> offsets = m.means();
    for (std::size_t i = 0; i < offsets.size(); ++i)
        offsets[i] -= m.means()[i % d];
    for (std::int64_t k = 0; k < m.components(); ++k)
        cblas_daxpy(static_cast<int>(d), m.weights()[k], &offsets[k * d], 1, result.mean.data(), 1);
    for (std::int64_t k = 0; k < m.components(); ++k) {
        if (m.weights()[k] == 0)
            continue;
        const std::vector<double> own = m.covariance(k);
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < d; ++j)
                result.covariance[i * d + j] +=
                    m.weights()[k] *
                    (own[i * d + j] + (offsets[k * d + i] - result.mean[i]) * (offsets[k * d + j] - result.mean[j]));
    }
    for (std::int64_t j = 0; j < d; ++j)
        result.mean[j] += m.means()[j];
    return result;
}

} // namespace elbo::gmm
