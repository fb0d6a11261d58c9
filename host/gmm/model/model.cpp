// Mixtures as values, and as files: .safetensors (tensors, description in the metadata) and .json (for reading by eye).
//
// {"format": "elbo.gmm", "version": 1, "family", "components": k, "dimensions": d, "column_names": [...],
//  "weights": [k], "means": [k][d], "precision_cholesky": by family, see model.hpp}
// A model that a fit has made also has "regularization" and "regularization_variances" [d].
// A file written by hand may have "covariances" in place of "precision_cholesky".
#include "elbo/gmm/model.hpp"

#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/gmm/model/model_file.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/shared/blas_threads.hpp"
#include "kernels/shared/memory.hpp"

#include <cblas.h>
#include <cmath>
#include <fmt/format.h>
#include <lapacke.h>

namespace elbo::gmm {

ELBO_NAMES(family, family_from_string)
ELBO_NAMES(start_method, start_method_from_string)
ELBO_NAMES(m_step_method, m_step_method_from_string)
ELBO_NAMES(weights_model, weights_model_from_string)
ELBO_NAMES(criterion, criterion_from_string)
ELBO_TO_STRING(event::kind)

namespace {

std::string_view covariance_shape(family f) {
    constexpr std::string_view names[][2] = {{"k", "1"}, {"k x d", "d"}, {"k x d x d", "d x d"}};
    return names[static_cast<int>(geometry(f).form)][geometry(f).tied];
}

/// U = L^-T for the covariance C = L Lᵀ, row-major [d x d]; false if C is not positive definite.
bool precision_factor(const double* covariance, std::int64_t d, double* factor) {
    const auto n = static_cast<lapack_int>(d);
    std::copy(covariance, covariance + d * d, factor);
    const kernels::one_blas_thread one;
    // Row-major upper with C = Rᵀ R: R = Lᵀ, so U = R^-1.
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', n, factor, n) != 0)
        return false;
    if (LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', n, factor, n) != 0)
        return false;
    for (std::int64_t i = 0; i < d; ++i)
        std::fill(factor + i * d, factor + i * d + i, 0.0);
    return true;
}

/// Σ = U^-T U^-1 for an upper triangular U.
void covariance_from_factor(const double* factor, std::int64_t d, double* covariance) {
    const auto n = static_cast<int>(d);
    std::vector<double> inverse(factor, factor + d * d);
    const kernels::one_blas_thread one;
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', n, inverse.data(), n);
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, n, 1, inverse.data(), n, 0, covariance, n);
    for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < i; ++j)
            covariance[i * d + j] = covariance[j * d + i];
}

/// What a file says. `Array` is a reference where it is written.
template <class Array, class Names>
struct mixture_members {
    family shape;
    std::int64_t components, dimensions;
    Names column_names;
    Array weights, means, precision_cholesky, regularization, regularization_variances;
    Array covariances; ///< only read
};

template <class Archive, class Members>
void describe(Archive& file, Members& m) {
    file.member("family", m.shape);
    file.member("components", m.components);
    file.member("dimensions", m.dimensions);
    check_sizes(m.shape, m.components, m.dimensions);
    file.column_names(m.column_names, m.dimensions);
    const io::extents shape = covariance_shape(m.shape, m.components, m.dimensions);
    file.tensor("weights", {m.components}, m.weights);
    file.tensor("means", {m.components, m.dimensions}, m.means);
    if (file.has("covariances", false) && !file.has("precision_cholesky", true))
        file.tensor("covariances", shape, m.covariances);
    else
        file.tensor("precision_cholesky", shape, m.precision_cholesky);
    if (file.has("regularization", !m.regularization.empty())) {
        file.tensor("regularization", {m.dimensions}, m.regularization);
        file.tensor("regularization_variances", {m.dimensions}, m.regularization_variances);
    }
}

} // namespace

std::int64_t covariance_size(family f, std::int64_t k, std::int64_t d) {
    return geometry(f).count(k) * geometry(f).size(d);
}

std::int64_t parameter_count(family f, std::int64_t k, std::int64_t d) {
    return k - 1 + k * d + geometry(f).count(k) * geometry(f).packed(d);
}

model model::from_precision_cholesky(family f, std::int64_t d, std::vector<double> weights, std::vector<double> means,
                                     std::vector<double> factors) {
    expects("dimensions", d, at_least(1));
    model m;
    m.family_ = f;
    m.dimensions_ = d;
    m.weights_ = checked_weights(std::move(weights));
    const std::int64_t k = m.components();
    check_size("means", means.size(), k * d, "k x d");
    check_size("precision_cholesky", factors.size(), covariance_size(f, k, d), covariance_shape(f));
    check_finite("means", means);
    check_finite("precision_cholesky", factors);
    const std::int64_t matrices = geometry(f).matrix() ? geometry(f).count(k) : 0;
    for (std::int64_t c = 0; c < matrices; ++c)
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j <= i; ++j) {
                const double value = factors[c * d * d + i * d + j];
                expects(i == j ? value > 0 : value == 0, [&] {
                    return fmt::format("precision_cholesky of component {} at ({}, {}) = {}: expected {}", c, i, j,
                                       value, i == j ? "a positive diagonal" : "0 below the diagonal");
                });
            }
    if (!geometry(f).matrix())
        for (std::size_t i = 0; i < factors.size(); ++i)
            expects(factors[i] > 0, [&] {
                return fmt::format("precision_cholesky[{}] = {}: expected a positive number", i, factors[i]);
            });
    m.means_ = std::move(means);
    m.precision_cholesky_ = std::move(factors);
    return m;
}

model model::from_covariances(family f, std::int64_t d, std::vector<double> weights, std::vector<double> means,
                              std::vector<double> covariances) {
    expects("dimensions", d, at_least(1));
    const auto k = static_cast<std::int64_t>(weights.size());
    check_size("covariances", covariances.size(), covariance_size(f, k, d), covariance_shape(f));
    check_finite("covariances", covariances);
    std::vector<double> factors(covariances.size());
    if (!geometry(f).matrix()) {
        for (std::size_t i = 0; i < covariances.size(); ++i) {
            expects(covariances[i] > 0, [&] {
                return fmt::format("covariances[{}] = {}: expected a positive variance", i, covariances[i]);
            });
            factors[i] = 1 / std::sqrt(covariances[i]);
        }
        return from_precision_cholesky(f, d, std::move(weights), std::move(means), std::move(factors));
    }
    const std::int64_t matrices = geometry(f).count(k);
    for (std::int64_t c = 0; c < matrices; ++c) {
        const double* matrix = &covariances[c * d * d];
        for (std::int64_t i = 0; i < d; ++i)
            for (std::int64_t j = 0; j < i; ++j)
                expects(std::abs(matrix[i * d + j] - matrix[j * d + i]) <=
                            1e-9 * std::sqrt(std::abs(matrix[i * d + i] * matrix[j * d + j])),
                        [&] {
                            return fmt::format(
                                "covariance of component {} is not symmetric: ({}, {}) = {}, ({}, {}) = {}", c, i, j,
                                matrix[i * d + j], j, i, matrix[j * d + i]);
                        });
        expects(precision_factor(matrix, d, &factors[c * d * d]),
                [&] { return fmt::format("covariance of component {} is not positive definite", c); });
    }
    return from_precision_cholesky(f, d, std::move(weights), std::move(means), std::move(factors));
}

std::vector<double> model::covariances() const {
    std::vector<double> result(precision_cholesky_.size());
    if (!geometry(family_).matrix()) {
        for (std::size_t i = 0; i < result.size(); ++i)
            result[i] = 1 / (precision_cholesky_[i] * precision_cholesky_[i]);
        return result;
    }
    const std::int64_t size = dimensions_ * dimensions_;
    for (std::int64_t first = 0; first < static_cast<std::int64_t>(result.size()); first += size)
        covariance_from_factor(&precision_cholesky_[first], dimensions_, &result[first]);
    return result;
}

std::vector<double> model::covariance(std::int64_t k) const {
    expects(k >= 0 && k < components(),
            [&] { return fmt::format("component = {}: expected 0 to {}", k, components() - 1); });
    const std::int64_t d = dimensions_;
    std::vector<double> result(d * d, 0);
    const family_geometry g = geometry(family_);
    const double* u = &precision_cholesky_[k * g.stride(d)];
    if (g.matrix()) {
        covariance_from_factor(u, d, result.data());
        return result;
    }
    for (std::int64_t j = 0; j < d; ++j)
        result[j * d + j] = 1 / (u[g.at(j, j, d)] * u[g.at(j, j, d)]);
    return result;
}

model model::with_regularization(std::vector<double> lambda, std::vector<double> variances) const {
    expects(lambda.empty() == variances.empty(), [&] {
        return fmt::format("{} numbers of regularization with {} of regularization_variances: expected both or neither",
                           lambda.size(), variances.size());
    });
    if (!lambda.empty()) {
        check_size("regularization", lambda.size(), dimensions_, "d");
        check_size("regularization_variances", variances.size(), dimensions_, "d");
    }
    for (std::size_t j = 0; j < lambda.size(); ++j)
        expects(lambda[j] >= 0 && std::isfinite(lambda[j]) && variances[j] > 0 && std::isfinite(variances[j]), [&] {
            return fmt::format(
                "regularization[{0}] = {1}, regularization_variances[{0}] = {2}: expected finite numbers, "
                "at least 0 and above 0",
                j, lambda[j], variances[j]);
        });
    model m = *this;
    m.regularization_ = std::move(lambda);
    m.regularization_variances_ = std::move(variances);
    return m;
}

std::int64_t model::parameters() const {
    return parameter_count(family_, components(), dimensions_);
}

void write_members(io::archive_writer& file, const model& m, const std::vector<std::string>& column_names) {
    const std::vector<double> none;
    const mixture_members<const std::vector<double>&, const std::vector<std::string>&> members{
        m.shape(),
        m.components(),
        m.dimensions(),
        column_names,
        m.weights(),
        m.means(),
        m.precision_cholesky(),
        m.regularization(),
        m.regularization_variances(),
        none};
    describe(file, members);
}

saved_model read_members(io::archive_reader& file) {
    return io::from_file(file.path(), [&]() -> saved_model {
        mixture_members<std::vector<double>, std::vector<std::string>> r{};
        describe(file, r);
        const bool factors = r.covariances.empty();
        model m = (factors ? model::from_precision_cholesky
                           : model::from_covariances)(r.shape, r.dimensions, std::move(r.weights), std::move(r.means),
                                                      std::move(factors ? r.precision_cholesky : r.covariances));
        if (!r.regularization.empty())
            m = m.with_regularization(std::move(r.regularization), std::move(r.regularization_variances));
        return {std::move(m), std::move(r.column_names)};
    });
}

io::extents covariance_shape(family f, std::int64_t k, std::int64_t d) {
    const family_geometry g = geometry(f);
    io::extents shape(g.tied ? 0 : 1, k);
    shape.resize(shape.size() + (g.matrix() ? 2 : g.spherical() ? 0 : 1), d);
    return shape.empty() ? io::extents{1} : shape;
}

void check_sizes(family f, std::int64_t components, std::int64_t dimensions) {
    expects(components >= 1 && dimensions >= 1, [&] {
        return fmt::format("components = {}, dimensions = {}: expected at least 1", components, dimensions);
    });
    const auto each = io::checked_product(dimensions, geometry(f).matrix() ? dimensions : 1);
    const auto all = each ? io::checked_product(*each, components) : each;
    expects(all && io::checked_product(*all, 8), [&] {
        return fmt::format("components = {}, dimensions = {}: more numbers than an address can reach", components,
                           dimensions);
    });
}

void save(const model& m, const std::string& path, const std::vector<std::string>& column_names) {
    io::archive_writer file(path, mixture_format);
    write_members(file, m, column_names);
    file.commit();
}

saved_model load_saved(const std::string& path) {
    io::archive_reader file(path, mixture_format);
    return read_members(file);
}

model load(const std::string& path) {
    return load_saved(path).model;
}

} // namespace elbo::gmm
