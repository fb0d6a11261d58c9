// Parameters of a mixture in the layout of the kernels.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

namespace elbo::kernels::cpu {

template <class T>
class packed_model {
public:
    packed_model() = default;
    packed_model(const gmm_shape& shape, const kernel_table<T>& kernels, std::int64_t block_rows);

    /// Takes parameters that T represents exactly (round_parameters).
    void pack(const gmm_parameters& p);
    /// Finds model_view::radii, of full covariances separations and stretches, for the parameters taken last, on
    /// several threads; they are null after pack(). Very many components have none.
    void find_radii(int threads);
    const model_view<T>& view() const { return view_; }
    static std::int64_t bytes(const gmm_shape& shape);

private:
    void pack_factors(const std::vector<double>& u);
    void pack_common_factor(const gmm_parameters& p);
    void pack_offsets(const gmm_parameters& p);
    double near_radius(std::int64_t a, std::int64_t k) const;
    void find_separations(int threads);
    void separate_strip(std::int64_t strip);

    gmm_shape shape_;
    const kernel_table<T>* kernels_ = nullptr;
    aligned_array<T> means_, factors_, centres_, whitener_, offsets_, radii_, stretches_;
    aligned_array<T> separating_;      ///< scratch memory of find_separations
    std::vector<double> factor_norms_; ///< ‖U_k‖_F
    std::vector<double> column_sums_;  ///< scratch memory of pack_factors
    std::vector<double> exact_offsets_;
    model_view<T> view_{};
};

/// Rounds means and factors to T: what is computed with is what is reported.
template <class T>
void round_parameters(gmm_parameters& p) {
    for (double& m : p.means)
        m = static_cast<double>(static_cast<T>(m));
    for (double& u : p.precision_cholesky)
        u = static_cast<double>(static_cast<T>(u));
}

} // namespace elbo::kernels::cpu
