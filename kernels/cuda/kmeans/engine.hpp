// k-means on the device: k-means++ takes one launch for all centres, which begins when somebody needs them, Lloyd's
// iterations another one, and the host waits for neither.
#pragma once

#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/math/macros.hpp"

#include <cstdint>
#include <span>
#include <vector>

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

/// What brings the rows into that order.
struct order_view {
    std::int64_t k;
    std::int64_t span, spans; ///< rows that a block counts the labels of, and their number
    int parts;                ///< warps that share a span; 0: one, whose counts lie in device memory
    std::int32_t* counts;     ///< [spans x k] of the labels
    std::int32_t* offsets;    ///< [spans x k] where those of a span begin
    std::int32_t* ranks;      ///< [rows]
    std::int64_t *begins, *first_chunks, *order;

    ELBO_HD cluster_view clusters() const { return {order, begins, first_chunks, k}; }
};

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
    /// Brings the rows into the order of their k labels and adds up `rows`, the same ones in other coordinates: sums [k
    /// x (cols + 1)], the last column Σ w, and means [k x cols] where not null, 0 of clusters without rows.
    cluster_view sum_clusters(const sample_view& rows, std::int64_t k, double* sums, double* means);
    /// The same of rows whose order is known; `partial` has room for rows / kmeans_chunk_rows + k chunks.
    void sum_ordered(const sample_view& rows, const cluster_view& clusters, double* partial, double* sums,
                     double* means) const;

private:
    sample_view view() const { return {x_, weights_, nearest_.data(), labels_.data(), rows_, cols_}; }
    void wait() const;
    /// Takes note of a step of k-means++: the row of the centre or −1, and uniforms of as many candidates.
    void note_step(double row, std::span<const double> uniforms);
    /// Takes the steps that are noted.
    void take_steps(std::int64_t count, bool adds);
    /// Makes the centres of the steps that are noted.
    void choose();
    /// Lloyd's iterations, or one assignment.
    void launch_moves(bool moves, std::int64_t iterations);
    order_view reserve_clusters(std::int64_t k);
    void reserve_centres(std::int64_t numbers);
    /// Shared memory of a block for the counts of labels.
    static std::int64_t counts_bytes(const order_view& v);

    state_pointer state_;
    std::int64_t rows_ = 0, cols_ = 0, blocks_ = 0;
    std::int64_t k_ = 0;        ///< centres, those of noted steps too
    std::int64_t chosen_ = 0;   ///< without those
    bool gathered_ = false;     ///< they are in centres_
    bool labelled_ = false;     ///< the rows have labels
    std::vector<double> steps_; ///< that are noted: row or −1, number of candidates, their uniforms
    std::int64_t most_candidates_ = 1;
    std::int64_t clusters_ = 0; ///< for which there is memory
    const double *x_ = nullptr, *weights_ = nullptr;
    device_buffer<double> own_x_, own_weights_, nearest_;
    device_buffer<std::int32_t> labels_;
    device_buffer<double> mass_; ///< [2][blocks] Σ w nearest; Σ w
    device_buffer<kmeans_candidate> candidates_;
    device_buffer<double> step_values_; ///< [steps x (2 + candidates)]
    device_buffer<double> distances_;   ///< [candidates x rows]
    device_buffer<double> partial_;     ///< [blocks x candidates]
    device_buffer<std::int64_t> centre_rows_;
    device_buffer<double> centres_; ///< [k x cols]
    device_buffer<unsigned long long> changed_;
    device_buffer<std::int32_t> counts_; ///< [2][spans x k] of order_view: counts, offsets
    device_buffer<std::int32_t> ranks_;
    device_buffer<std::int64_t> order_, bounds_; ///< bounds [2][k + 1]: begins and first chunks of the clusters
    device_buffer<double> chunk_sums_, cluster_sums_;
};

} // namespace elbo::kernels::cuda
