// What is known beforehand of the component that each sample comes from (docs/theory.md section 1, partially observed
// z).
#pragma once

#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {
class device_queue;
}

namespace elbo::gmm {

/// Knowledge of z_n, as factors π_nk on the weights of the components: the sample contributes
/// log Σ_k α_k π_nk N(x_n; μ_k, Σ_k), and r_nk is proportional to α_k π_nk N(x_n; μ_k, Σ_k). A known label is π = 1 for
/// one component and 0 for the others, which gives log p(x_n, z_n | θ); a set of allowed components is 1 for its
/// members; a prior over components is given as it is; unknown is 1 for all.
class sample_labels {
public:
    enum class kind {
        none,   ///< nothing is known
        labels, ///< [n x 1] whole numbers: 0 ... k − 1, or −1 where unknown
        factors ///< [n x k] numbers π_nk ≥ 0, not all zero in a row
    };

    sample_labels() = default;
    /// One label a sample, −1 where unknown. Keeps a copy.
    sample_labels(const std::vector<std::int32_t>& labels);
    /// A column of whole numbers in host or device memory, float32 or float64, which must outlive the call it is for.
    static sample_labels from_column(any_matrix_view labels);
    /// Factors π_nk [n x k] in host or device memory, which must outlive the call they are for.
    static sample_labels from_factors(any_matrix_view factors);
    /// The components that each sample may come from; an empty set means all. Keeps [n x k] numbers. Throws
    /// invalid_argument (a component outside 0 ... k − 1, with the sample).
    static sample_labels from_sets(const std::vector<std::vector<std::int32_t>>& allowed, std::int64_t components);

    kind what() const { return kind_; }
    bool empty() const { return kind_ == kind::none; }
    const any_matrix_view& values() const { return values_; }
    /// Work on a device that comes before the values are read (labels_on_stream); null where they are complete.
    std::shared_ptr<const kernels::device_queue> after = {};

private:
    kind kind_ = kind::none;
    any_matrix_view values_;
    std::shared_ptr<const std::vector<float>> kept_; ///< of a copy
};

} // namespace elbo::gmm
