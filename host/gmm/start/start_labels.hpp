// k-means starts where some rows are known to come from a component.
#pragma once

#include "host/gmm/start/start.hpp"
#include "kernels/contract/kmeans_engine.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Clusters the rows without a label about centres of which the first are the means of the labelled rows of each
/// component that has some, and stay there; k-means++ finds the others. Labelled rows keep their component.
class labelled_kmeans {
public:
    /// `s` must outlive it.
    labelled_kmeans(const start_sample& s, std::int64_t components);
    /// Gives the engine rows in the coordinates y [rows x cols]; they stay here.
    void load(kernels::kmeans_engine& engine, const std::vector<double>& y);
    /// The component of each row of the sample, by one assignment.
    std::vector<std::int32_t> cluster(kernels::kmeans_engine& engine, bool greedy, std::uint64_t seed) const;

private:
    const start_sample& s_;
    std::vector<std::int32_t> component_; ///< of each cluster: first those with labelled rows
    std::int64_t given_ = 0;              ///< number of these
    std::vector<std::int64_t> unknown_;   ///< rows without a label
    std::vector<double> x_, weights_;     ///< the given centres, then these rows
};

} // namespace elbo::gmm
