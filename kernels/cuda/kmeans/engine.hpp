// k-means on the device: k-means++ takes four launches a centre, an iteration of Lloyd's six, and the host waits for
// none of them.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>
#include <span>

namespace elbo::kernels::cuda {

/// What kernels see of the rows.
struct sample_view {
    const double* x;       ///< [rows x cols]
    const double* weights; ///< [rows]
    double* nearest;       ///< [rows] squared distance to the nearest of the centres added so far
    std::int32_t* labels;  ///< [rows]
    std::int64_t rows, cols;
};

/// The rows in the order of their labels, and where clusters and their chunks of kmeans_chunk_rows rows begin there.
struct cluster_view {
    const std::int64_t* order;        ///< [rows]
    const std::int64_t* begins;       ///< [k + 1]
    const std::int64_t* first_chunks; ///< [k + 1]
    std::int64_t k;
};

/// Whether an iteration has nothing left to do: no label changed in the one before, if there was one.
ELBO_HD inline bool settled(const unsigned long long* before) {
    return before && *before == 0;
}

class cuda_kmeans final : public kmeans_engine {
public:
    explicit cuda_kmeans(state_pointer state);

    std::int64_t bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const override;
    void load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) override;
    void restart() override;
    void draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) override;
    void add_centre(std::int64_t row) override;
    void add_best(std::span<const double> uniforms) override;
    void centre_rows(std::span<std::int64_t> out) override;
    std::int64_t assign(std::span<const double> centres) override;
    void cluster_sums(std::span<double> sums, std::span<double> counts) override;
    void refine(int iterations) override;
    void centres(std::span<double> out) override;
    void labels(std::span<std::int32_t> out) override;

    /// load() of rows and weights in device memory, which stay there; the memory that they take is not this engine's.
    void use(const double* x, const double* weights, std::int64_t rows, std::int64_t cols);
    /// The rows by label.
    cluster_view order(std::int64_t k) { return launch_order(k, nullptr); }

private:
    sample_view view() const { return {x_, weights_, nearest_.data(), labels_.data(), rows_, cols_}; }
    void wait() const;
    /// Candidates on the device, their distances and, where wanted, their potentials.
    void launch_draw(std::span<const double> uniforms);
    void launch_distances(int count);
    void launch_add(int count);
    void launch_assign(std::int32_t k, const unsigned long long* before, unsigned long long* changed);
    cluster_view launch_order(std::int64_t k, const unsigned long long* before);
    void launch_sums(std::int64_t k, const unsigned long long* before, double* centres);
    void reserve_clusters(std::int64_t k);
    /// The centres on the device, those rows that were added.
    void gather();
    /// A kernel with one thread for each of `count` items.
    template <class... P, class... A>
    void launch_each(const char* name, std::int64_t count, void (*kernel)(P...), A&&... args) const;

    state_pointer state_;
    std::int64_t rows_ = 0, cols_ = 0, blocks_ = 0;
    std::int64_t k_ = 0;        ///< centres
    bool gathered_ = false;     ///< they are in centres_
    std::int64_t clusters_ = 0; ///< for which there is memory
    const double *x_ = nullptr, *weights_ = nullptr;
    device_buffer<double> own_x_, own_weights_, nearest_;
    device_buffer<std::int32_t> labels_;
    device_buffer<double> mass_; ///< [2][blocks] Σ w nearest; Σ w
    device_buffer<kmeans_candidate> candidates_;
    device_buffer<double> distances_; ///< [candidates x rows]
    device_buffer<double> partial_;   ///< [blocks x candidates]
    device_buffer<std::int64_t> centre_rows_;
    device_buffer<double> centres_; ///< [k x cols]
    device_buffer<unsigned long long> changed_;
    device_buffer<std::int32_t> counts_; ///< [2][spans x k] of the labels; where they begin
    device_buffer<std::int32_t> ranks_;
    device_buffer<std::int64_t> order_, bounds_; ///< bounds [2][k + 1]: begins and first chunks of the clusters
    device_buffer<double> chunk_sums_, cluster_sums_;
};

} // namespace elbo::kernels::cuda
