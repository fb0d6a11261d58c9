// Q(θ) = E_q[log p(x, z | θ)], what an M-step raises, as a function of θ: from the sums of one E-step, without data.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/normalize_statistics.hpp"

#include <vector>

namespace elbo::gmm {

/// Derivatives with respect to unconstrained parameters: logits a [k] where α = softmax(a); means [k x d]; factors in
/// the layout of gmm_parameters, of the logarithms of the diagonal and of the entries above it, zero below. Zero for a
/// component of weight zero.
struct parameter_gradient {
    std::vector<double> logits, means, factors;
    double squared_norm() const;
};

class expected_log_joint {
public:
    /// `sums` under the parameters `current` as kernels::normalized_sums gives them; `scatter` and `lambda` as in
    /// update_rule. Without lambda there is no penalty.
    expected_log_joint(const kernels::gmm_shape& shape, const kernels::gmm_parameters& current,
                       std::vector<double> sums, std::vector<double> scatter, std::vector<double> lambda = {});

    struct value {
        double expected = 0; ///< Q(θ), summed over the samples
        double penalty = 0;  ///< ½ Σ_k N_k tr(λ Σ_k⁻¹): the M-step with λ is the maximum of Q less this
        double objective() const { return expected - penalty; }
    };
    /// With the gradient of the objective where one is wanted.
    value at(const kernels::gmm_parameters& p, parameter_gradient* gradient = nullptr) const;

    double count(std::int64_t k) const { return sums_[k * size_]; } ///< N_k

private:
    value evaluate_factor(double count, std::vector<double> second, const double* u, double* derivative) const;
    std::vector<double> second_about(std::int64_t k, const double* mean) const;
    std::vector<double> pooled_second(const std::vector<double>& means) const;

    kernels::gmm_shape shape_;
    family_geometry geometry_;
    std::int64_t d_, size_;
    std::vector<double> current_means_, sums_, scatter_, lambda_;
};

} // namespace elbo::gmm
