// What a mixture makes of known columns, component by component, factored once for all rows. With the columns of a
// factor in the order (b, a), U = (U_bb U_ba; 0 U_aa) (host/gmm/algebra/algebra.cpp), a component has
//     ‖U_bbᵀ (x_b − μ_b)‖ as distance,  m = μ_a − (U_ba U_aa⁻¹)ᵀ (x_b − μ_b),  (U_aa U_aaᵀ)⁻¹ as covariance.
// Rows go through in tiles whose lanes do not touch each other, so that a row has the same bits in any place of any
// tile.
#pragma once

#include "elbo/gmm/regress.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace elbo::gmm {

class regression_map {
public:
    static constexpr std::int64_t lanes = 8; ///< rows of a tile
    using lane = std::array<double, lanes>;

    /// Throws invalid_argument: see regress().
    regression_map(const model& m, const std::vector<std::int64_t>& known, const regress_options& options);

    std::int64_t known() const { return b_; }
    std::int64_t rest() const { return a_; }
    std::int64_t components() const { return k_; }

    /// Memory of one thread.
    struct scratch {
        std::vector<lane> x, offsets;      ///< [b]
        std::vector<lane> mean, component; ///< [a]
        std::vector<lane> spread;          ///< [a], or with covariances [a x a] of which j <= i
        std::vector<double> radii;         ///< [lanes x k]
        std::vector<double> weights;       ///< [lanes x k]
    };
    scratch make_scratch() const;

    /// Where the results of a tile go; null where they are not wanted.
    struct output {
        double *means, *variances, *covariances, *log_density, *responsibilities;
    };
    /// The moments of `rows` rows, at most `lanes`, of the known columns [rows x b]. Returns the first whose moments
    /// are not finite, −1 where all are.
    std::int64_t apply(const double* x, std::int64_t rows, scratch& s, const output& out) const;

private:
    struct moving_sum; ///< of the weights, for each lane

    void add_factors(const model& m, const std::vector<std::int64_t>& known, const std::vector<std::int64_t>& rest);
    void add_diagonals(const model& m, const std::vector<std::int64_t>& known, const std::vector<std::int64_t>& rest);
    std::int64_t factor_of(std::int64_t k) const { return tied_ ? 0 : k; }
    void set_offsets(std::int64_t k, scratch& s) const;
    lane squares(std::int64_t k, const std::vector<lane>& offsets) const;
    void set_radii(std::int64_t k, scratch& s) const;
    void set_means(std::int64_t k, scratch& s) const;
    void add_component(std::int64_t k, scratch& s, moving_sum& total) const;
    void store(const scratch& s, std::int64_t row, const output& out) const;

    std::int64_t b_ = 0, a_ = 0, k_ = 0;
    bool tied_ = false, matrices_ = false, covariances_ = false;
    std::vector<double> log_constants_;            ///< [k] ln α_k det U_bb
    std::vector<double> known_means_, rest_means_; ///< [k x b], [k x a]
    std::vector<double> factors_;                  ///< U_bbᵀ [b x b] of each factor, or its diagonal [b]
    std::vector<double> gains_;   ///< −(U_ba U_aa⁻¹)ᵀ [a x b] of each factor; none for families without matrices
    std::vector<double> spreads_; ///< (U_aa U_aaᵀ)⁻¹ [a x a], or its diagonal [a]
};

} // namespace elbo::gmm
