// A Gaussian mixture as a value: its parameters, and how they are made, saved and loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::gmm {

/// Shapes of the covariances. `tied` families share one covariance among all components.
enum class family { full, diagonal, spherical, tied, tied_diagonal, tied_spherical };

/// "full", "tied_diagonal", ...
std::string_view to_string(family f);
/// The inverse of to_string. Throws invalid_argument that lists the names.
family family_from_string(std::string_view name);
/// Whether all components share one covariance.
constexpr bool is_tied(family f) {
    return f == family::tied || f == family::tied_diagonal || f == family::tied_spherical;
}

/// p(x) = Σ_k α_k N(x; μ_k, Σ_k) (docs/theory.md section 1). Σ_k is kept as the Cholesky factor of the precision,
/// Σ_k⁻¹ = U_k U_kᵀ with U_k upper triangular. float64, in the units of the data. An immutable value.
class model {
public:
    /// From weights [k], means [k x d] and precision Cholesky factors, row-major:
    /// full [k x d x d] (upper triangular), tied [d x d], diagonal [k x d], spherical [k], tied_diagonal [d],
    /// tied_spherical [1]. For the last four the factor is 1/σ.
    /// Throws invalid_argument: sizes, non-finite values, weights negative or not summing to 1 (within 1e-6; they are
    /// then normalised), a diagonal of a factor not positive, entries below the diagonal of a factor.
    static model from_precision_cholesky(family f, std::int64_t dimensions, std::vector<double> weights,
                                         std::vector<double> means, std::vector<double> precision_cholesky);
    /// The same from covariances: full [k x d x d], tied [d x d], diagonal [k x d] variances, spherical [k],
    /// tied_diagonal [d], tied_spherical [1]. Throws invalid_argument also when a covariance is not symmetric positive
    /// definite (naming the component).
    static model from_covariances(family f, std::int64_t dimensions, std::vector<double> weights,
                                  std::vector<double> means, std::vector<double> covariances);

    family shape() const { return family_; }
    std::int64_t components() const { return static_cast<std::int64_t>(weights_.size()); }
    std::int64_t dimensions() const { return dimensions_; }
    const std::vector<double>& weights() const { return weights_; }
    const std::vector<double>& means() const { return means_; }
    const std::vector<double>& precision_cholesky() const { return precision_cholesky_; }
    /// Covariances in the layout of from_covariances, computed on demand.
    std::vector<double> covariances() const;
    /// Covariance of component k as a full [d x d] matrix, whatever the family.
    std::vector<double> covariance(std::int64_t k) const;
    /// Free parameters: weights k − 1, means k d, covariances by family.
    std::int64_t parameters() const;

    /// λ [d] that the fit added to the diagonals of the covariances, in squared units of the data, and the variances
    /// [d] that its relative part is a share of (docs/regularization.md). maximize() and online go on with them. Both
    /// empty for a model that no fit has made.
    const std::vector<double>& regularization() const { return regularization_; }
    const std::vector<double>& regularization_variances() const { return regularization_variances_; }
    /// The same model with these. Throws invalid_argument unless both are empty or both have d finite numbers, those of
    /// λ at least 0, the variances above 0.
    model with_regularization(std::vector<double> lambda, std::vector<double> variances) const;

    bool operator==(const model&) const = default;

private:
    model() = default;
    family family_ = family::full;
    std::int64_t dimensions_ = 0;
    std::vector<double> weights_, means_, precision_cholesky_;
    std::vector<double> regularization_, regularization_variances_;
};

/// Numbers in a precision_cholesky or covariances array of this family.
std::int64_t covariance_size(family f, std::int64_t components, std::int64_t dimensions);
/// Free parameters of such a mixture.
std::int64_t parameter_count(family f, std::int64_t components, std::int64_t dimensions);

/// Writes a model: `.safetensors` (tensors weights, means, precision_cholesky, where it has them regularization and
/// regularization_variances; description in __metadata__) or `.json`.
/// Written to a temporary file that is renamed, so a crash never leaves half a file. Numbers survive to the bit.
/// `column_names` may be empty. Throws file_error (unwritable, disk full) and invalid_argument (unknown ending).
void save(const model& m, const std::string& path, const std::vector<std::string>& column_names = {});
/// Reads what save wrote. Throws file_error: missing, truncated or malformed (byte offset), or of an unknown version.
model load(const std::string& path);

} // namespace elbo::gmm
