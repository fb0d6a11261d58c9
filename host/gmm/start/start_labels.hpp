// Starts where something is known of the component that rows come from: k-means, and the responsibilities that a start
// begins with.
#pragma once

#include "host/gmm/start/start.hpp"
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/math/philox.hpp"

#include <cstdint>
#include <utility>
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

/// A row of the sample and its responsibility r > 0 in a component.
struct row_share {
    std::int64_t row;
    double share;
};

/// The rows of component k with their responsibilities, from clusters or from random numbers, as far as what is known
/// of the rows allows: a row of known component is there, other factors apply.
class first_responsibilities {
public:
    first_responsibilities(const start_sample& s, std::int64_t components) : s_(s), components_(components) {}
    void use_clusters(std::vector<std::int32_t> clusters);
    void use_random(std::uint64_t seed) {
        seed_ = seed;
        add_row_sums();
    }
    std::vector<row_share> of(std::int64_t k) const;

private:
    void add_row_sums();
    double factor(std::int64_t n, std::int64_t k) const {
        return s_.factors.empty() ? 1 : s_.factors[n * components_ + k];
    }
    /// r_nk but for its norm. A row whose cluster is of a component that it cannot come from goes by its factors alone.
    double share(std::int64_t n, std::int64_t k) const;
    double draw(std::int64_t n, std::int64_t k) const {
        const kernels::philox_block words =
            kernels::random_block(seed_, kernels::random_purpose::responsibilities, n, static_cast<std::uint32_t>(k));
        return kernels::uniform_double(words.word[0], words.word[1]);
    }
    const start_sample& s_;
    std::int64_t components_;
    std::vector<std::int32_t> clusters_;
    std::uint64_t seed_ = 0;
    std::vector<double> row_sum_;
    std::vector<std::vector<row_share>> of_component_; ///< where each row is wholly in one
};

} // namespace elbo::gmm
