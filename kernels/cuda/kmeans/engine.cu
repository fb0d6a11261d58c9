// k-means on the device: one wait of the host for each centre of k-means++, two for each of Lloyd's iterations.
#include "kernels/cuda/kmeans/kernels.cuh"

#include "elbo/error.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/core/launch.cuh"

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include <algorithm>
#include <bit>
#include <vector>

namespace elbo::kernels::cuda {

namespace {

constexpr std::int64_t staged_numbers = 1 << 17; ///< of the rows on their way to the device: 1 MiB

class cuda_kmeans final : public kmeans_engine {
public:
    explicit cuda_kmeans(state_pointer state)
        : state_(std::move(state)), candidates_(state_, "k-means candidates", kmeans_candidate_limit),
          changed_(state_, "k-means counter", 1) {}

    void load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) override {
        state_->activate();
        rows_ = rows, cols_ = cols, blocks_ = kmeans_blocks(rows);
        release();
        x_ = device_buffer<double>(state_, "rows of a start", rows * cols);
        weights_ = device_buffer<double>(state_, "weights of a start", rows);
        nearest_ = device_buffer<double>(state_, "distances of a start", rows);
        labels_ = device_buffer<std::int32_t>(state_, "labels of a start", rows);
        mass_ = device_buffer<double>(state_, "masses of a start", 2 * blocks_);
        partial_ = device_buffer<double>(state_, "potentials of a start", blocks_ * kmeans_candidate_limit);
        load_rows(x);
        copy(weights_.data(), weights, rows);
        launch(*state_, "sum_weights", {blocks_, warp_threads}, sum_weights, view(), mass_.data() + blocks_);
        restart();
    }

    std::int64_t bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const override {
        const std::int64_t blocks = kmeans_blocks(rows), clusters = 8 * (largest_chunks(rows, k) + k) * (cols + 1);
        const std::int64_t each_row = 8 * (cols + 2) + 8 + 16; // row, weight, distance; label twice; number twice
        const std::int64_t staged = 8 * std::max(std::min(staged_numbers, rows * cols), cols);
        std::size_t sort = 0, scan = 0;
        state_->activate();
        check(sort_by_label(nullptr, sort, rows, k), "the scratch memory of a CUB algorithm");
        check(scan_chunks(nullptr, scan, nullptr, nullptr, k), "the scratch memory of a CUB algorithm");
        return rows * each_row + 8 * blocks * (2 + kmeans_candidate_limit) + staged + clusters + 24 * (k + 1) +
               8 * k * cols + static_cast<std::int64_t>(sizeof(kmeans_candidate)) * kmeans_candidate_limit +
               static_cast<std::int64_t>(sort + scan) + 8;
    }

    void restart() override {
        state_->activate();
        centres_ = 0;
        launch_each("forget_centres", rows_, forget_centres, view());
    }

    void draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) override {
        state_->activate();
        draw_uniforms values{};
        std::copy(uniforms.begin(), uniforms.end(), values.u);
        const auto count = static_cast<int>(uniforms.size());
        launch(*state_, "draw_rows", {count, warp_threads, (blocks_ + warp_threads) * 8}, draw_rows, view(), values,
               mass_.data(), mass_.data() + blocks_, blocks_, centres_ > 0, candidates_.data());
        if (centres_ > 0 && count > 1) {
            launch(*state_, "sum_potentials", {blocks_, block_threads, 0, blocks_for(count, tile_centres)},
                   sum_potentials, view(), candidates_.data(), count, partial_.data());
            launch(*state_, "finish_potentials", {1, kmeans_candidate_limit}, finish_potentials, partial_.data(),
                   blocks_, count, candidates_.data());
        }
        copy(out.data(), candidates_.data(), count);
        wait(); // the host chooses among them
    }

    void add_centre(std::int64_t row) override {
        state_->activate();
        launch(*state_, "add_centre", {blocks_, block_threads}, cuda::add_centre, view(), row, centres_, mass_.data());
        ++centres_;
    }

    std::int64_t assign(std::span<const double> centres) override {
        state_->activate();
        const auto size = static_cast<std::int64_t>(centres.size());
        if (centres_buffer_.size() < size)
            centres_buffer_ = device_buffer<double>(state_, "centres of a start", size);
        copy(centres_buffer_.data(), centres.data(), size);
        clear_async(*state_, changed_.data(), 1);
        launch(*state_, "assign_rows", {blocks_for(rows_, assign_threads * rows_each), assign_threads}, assign_rows,
               view(), centres_buffer_.data(), static_cast<std::int32_t>(size / cols_), changed_.data());
        unsigned long long changed = 0;
        copy(&changed, changed_.data(), 1);
        wait(); // the host reads the count
        return static_cast<std::int64_t>(changed);
    }

    void cluster_sums(std::span<double> sums, std::span<double> counts) override {
        state_->activate();
        const auto k = static_cast<std::int64_t>(counts.size()), columns = cols_ + 1;
        reserve_clusters(k);
        const cluster_view clusters = order_by_label(k);
        launch_each("sum_chunks", largest_chunks(rows_, k) * columns, sum_chunks, view(), clusters, chunk_sums_.data());
        launch_each("add_chunks", k * columns, add_chunks, chunk_sums_.data(), clusters, columns, cluster_sums_.data());
        std::vector<double> host(static_cast<std::size_t>(k * columns));
        copy(host.data(), cluster_sums_.data(), k * columns);
        wait(); // the host divides them
        for (std::int64_t c = 0; c < k; ++c) {
            std::copy_n(&host[c * columns], cols_, &sums[c * cols_]);
            counts[c] = host[c * columns + cols_];
        }
    }

    void labels(std::span<std::int32_t> out) override {
        state_->activate();
        copy(out.data(), labels_.data(), rows_);
        wait(); // the caller reads them
    }

private:
    sample_view view() const { return {x_.data(), weights_.data(), nearest_.data(), labels_.data(), rows_, cols_}; }
    void wait() const { internal::wait_for(*state_); }
    template <class T>
    void copy(T* to, const T* from, std::int64_t count) const {
        copy_async(*state_, to, from, count);
    }
    /// A kernel with one thread for each of `count` items.
    template <class... P, class... A>
    void launch_each(const char* name, std::int64_t count, void (*kernel)(P...), A&&... args) const {
        launch(*state_, name, {blocks_for(count, plain_threads), plain_threads}, kernel, std::forward<A>(args)...);
    }

    /// In pieces, so that the rows are not held twice.
    void load_rows(const double* x) {
        const std::int64_t piece = std::clamp<std::int64_t>(staged_numbers / cols_, 1, rows_);
        const device_buffer<double> staged(state_, "staging memory of a start", piece * cols_);
        for (std::int64_t first = 0; first < rows_; first += piece) {
            const std::int64_t count = std::min(piece, rows_ - first);
            copy(staged.data(), x + first * cols_, count * cols_);
            launch_each("transpose", count * cols_, transpose, staged.data(), first, count, view(), x_.data());
        }
    }

    static std::int64_t largest_chunks(std::int64_t rows, std::int64_t k) { return rows / kmeans_chunk_rows + k; }

    /// Gives the memory of the last rows back, so that it does not stand beside that of the next.
    void release() {
        for (auto* buffer :
             {&x_, &weights_, &nearest_, &mass_, &partial_, &centres_buffer_, &chunk_sums_, &cluster_sums_})
            *buffer = {};
        labels_ = {}, sorted_labels_ = {}, row_numbers_ = {}, bounds_ = {}, scratch_ = {};
        clusters_ = 0;
    }

    /// Memory for the sums over k clusters.
    void reserve_clusters(std::int64_t k) {
        if (clusters_ >= k)
            return;
        row_numbers_ = device_buffer<std::int64_t>(state_, "row numbers of a start", 2 * rows_);
        sorted_labels_ = device_buffer<std::int32_t>(state_, "sorted labels of a start", rows_);
        bounds_ = device_buffer<std::int64_t>(state_, "clusters of a start", 3 * (k + 1));
        chunk_sums_ = device_buffer<double>(state_, "partial sums of a start", largest_chunks(rows_, k) * (cols_ + 1));
        cluster_sums_ = device_buffer<double>(state_, "sums of a start", k * (cols_ + 1));
        launch_each("count_up", rows_, count_up, row_numbers_.data(), rows_);
        clusters_ = k;
    }

    /// Row numbers in the order of their labels; stable, so rows of a cluster stay in ascending order.
    cudaError_t sort_by_label(void* scratch, std::size_t& bytes, std::int64_t rows, std::int64_t k) const {
        const int bits = std::bit_width(static_cast<std::uint64_t>(k));
        return cub::DeviceRadixSort::SortPairs(scratch, bytes, labels_.data(), sorted_labels_.data(),
                                               row_numbers_.data(), row_numbers_.data() + rows, rows, 0, bits,
                                               state_->stream);
    }
    cudaError_t scan_chunks(void* scratch, std::size_t& bytes, const std::int64_t* chunks, std::int64_t* first_chunks,
                            std::int64_t k) const {
        return cub::DeviceScan::ExclusiveSum(scratch, bytes, chunks, first_chunks, k + 1, state_->stream);
    }

    cluster_view order_by_label(std::int64_t k) {
        std::int64_t *begins = bounds_.data(), *chunks = begins + k + 1, *first_chunks = chunks + k + 1;
        std::int64_t* order = row_numbers_.data() + rows_;
        with_scratch([&](void* scratch, std::size_t& bytes) { return sort_by_label(scratch, bytes, rows_, k); });
        launch_each("find_clusters", k + 1, find_clusters, sorted_labels_.data(), rows_, static_cast<std::int32_t>(k),
                    begins, chunks);
        with_scratch(
            [&](void* scratch, std::size_t& bytes) { return scan_chunks(scratch, bytes, chunks, first_chunks, k); });
        return {order, begins, first_chunks, k};
    }

    /// Runs an algorithm of CUB, which first says how much scratch memory it wants.
    template <class Algorithm>
    void with_scratch(const Algorithm& algorithm) {
        std::size_t bytes = 0;
        check(algorithm(nullptr, bytes), "a CUB algorithm");
        if (static_cast<std::size_t>(scratch_.size()) < bytes)
            scratch_ =
                device_buffer<unsigned char>(state_, "scratch memory of a start", static_cast<std::int64_t>(bytes));
        check(algorithm(scratch_.data(), bytes), "a CUB algorithm");
    }

    state_pointer state_;
    std::int64_t rows_ = 0, cols_ = 0, blocks_ = 0;
    std::int64_t clusters_ = 0; ///< for which there is memory
    std::int32_t centres_ = 0;
    device_buffer<double> x_, weights_, nearest_;
    device_buffer<std::int32_t> labels_;
    device_buffer<double> mass_;    ///< [2][blocks] Σ w nearest; Σ w
    device_buffer<double> partial_; ///< [blocks x candidates]
    device_buffer<kmeans_candidate> candidates_;
    device_buffer<unsigned long long> changed_;
    device_buffer<double> centres_buffer_, chunk_sums_, cluster_sums_;
    device_buffer<std::int64_t> row_numbers_; ///< [2][rows] 0, 1, 2 ...; the same by label
    device_buffer<std::int32_t> sorted_labels_;
    device_buffer<std::int64_t> bounds_; ///< [3][k + 1] begins, chunks and first chunks of the clusters
    device_buffer<unsigned char> scratch_;
};

} // namespace

std::unique_ptr<kmeans_engine> make_kmeans(const context& ctx) {
    const auto& state = ctx.state().cuda;
    return std::make_unique<cuda_kmeans>(state);
}

} // namespace elbo::kernels::cuda
