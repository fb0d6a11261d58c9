#include "kernels/cuda/kmeans/engine.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/kmeans/clusters.cuh"
#include "kernels/cuda/kmeans/kernels.cuh"
#include "kernels/cuda/kmeans/order.cuh"

#include <algorithm>
#include <cmath>
#include <vector>

namespace elbo::kernels::cuda {

namespace {

/// Labels that a warp counts in shared memory; of more the counts lie in device memory.
constexpr std::int64_t shared_labels = 1 << 13;

/// Rows whose labels a warp counts: of many labels more, so that the counts take no more memory than the rows.
std::int64_t span_rows(std::int64_t k) {
    return kmeans_block_rows * std::max<std::int64_t>(1, k / kmeans_block_rows);
}
std::int64_t spans(std::int64_t rows, std::int64_t k) {
    return blocks_for(rows, span_rows(k));
}
std::int64_t largest_chunks(std::int64_t rows, std::int64_t k) {
    return rows / kmeans_chunk_rows + k;
}

/// Calls work with the groups of centres that a tile has for so many.
template <class Work>
void with_groups(std::int64_t centres, const Work& work) {
    if (centres <= centres_each)
        work.template operator()<1>();
    else if (centres <= 2 * centres_each)
        work.template operator()<2>();
    else if (centres <= 4 * centres_each)
        work.template operator()<4>();
    else
        work.template operator()<8>();
}
static_assert(8 * centres_each >= kmeans_candidate_limit);

} // namespace

cuda_kmeans::cuda_kmeans(state_pointer state)
    : state_(std::move(state)), candidates_(state_, "k-means candidates", kmeans_candidate_limit) {}

void cuda_kmeans::wait() const {
    internal::wait_for(*state_);
}

template <class... P, class... A>
void cuda_kmeans::launch_each(const char* name, std::int64_t count, void (*kernel)(P...), A&&... args) const {
    launch(*state_, name, {blocks_for(count, plain_threads), plain_threads}, kernel, std::forward<A>(args)...);
}

std::int64_t cuda_kmeans::bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const {
    const auto candidates = 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k))); // of a greedy choice
    const std::int64_t each_row = 8 * (cols + 2 + candidates) + 4 + 4 + 8;                   // label, rank, number
    return rows * each_row + 8 * kmeans_blocks(rows) * (2 + kmeans_candidate_limit) +
           8 * (largest_chunks(rows, k) + k) * (cols + 1) + 8 * spans(rows, k) * k + 24 * (k + 1) + 8 * k * cols +
           static_cast<std::int64_t>(sizeof(kmeans_candidate)) * kmeans_candidate_limit;
}

void cuda_kmeans::load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) {
    state_->activate();
    own_x_ = {}, own_weights_ = {};
    own_x_ = device_buffer<double>(state_, "rows of a start", rows * cols);
    own_weights_ = device_buffer<double>(state_, "weights of a start", rows);
    copy_async(*state_, own_x_.data(), x, rows * cols);
    copy_async(*state_, own_weights_.data(), weights, rows);
    use(own_x_.data(), own_weights_.data(), rows, cols);
}

void cuda_kmeans::use(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) {
    state_->activate();
    x_ = x, weights_ = weights;
    if (rows != rows_ || cols != cols_) {
        // The memory of the last rows goes back first, so that it does not stand beside that of these.
        for (auto* buffer : {&nearest_, &mass_, &distances_, &partial_, &centres_, &chunk_sums_, &cluster_sums_})
            *buffer = {};
        labels_ = {}, counts_ = {}, ranks_ = {}, order_ = {}, bounds_ = {};
        clusters_ = 0;
        rows_ = rows, cols_ = cols, blocks_ = kmeans_blocks(rows);
        nearest_ = device_buffer<double>(state_, "distances of a start", rows);
        labels_ = device_buffer<std::int32_t>(state_, "labels of a start", rows);
        mass_ = device_buffer<double>(state_, "masses of a start", 2 * blocks_);
        partial_ = device_buffer<double>(state_, "potentials of a start", blocks_ * kmeans_candidate_limit);
    }
    launch(*state_, "sum_weights", {blocks_, warp_threads}, sum_weights, view(), mass_.data() + blocks_);
    restart();
}

void cuda_kmeans::restart() {
    state_->activate();
    k_ = 0, gathered_ = false;
    launch_each("forget_centres", rows_, forget_centres, view());
}

void cuda_kmeans::launch_draw(std::span<const double> uniforms) {
    draw_uniforms values{};
    std::ranges::copy(uniforms, values.u);
    const auto count = static_cast<int>(uniforms.size());
    launch(*state_, "draw_rows", {count, warp_threads, (blocks_ + warp_threads) * 8}, draw_rows, view(), values,
           mass_.data(), mass_.data() + blocks_, blocks_, k_ > 0, candidates_.data());
}

void cuda_kmeans::launch_distances(int count) {
    if (distances_.size() < count * rows_) {
        distances_ = {};
        distances_ = device_buffer<double>(state_, "distances of candidates", count * rows_);
    }
    with_groups(count, [&]<int Groups>() {
        launch(*state_, "measure_candidates", {blocks_for(rows_, distance_tile<Groups>::rows), tile_threads},
               measure_candidates<Groups>, view(), candidates_.data(), count, distances_.data());
    });
    if (count > 1)
        launch(*state_, "sum_potentials", {blocks_, warp_threads, 0, count}, sum_potentials, view(), distances_.data(),
               partial_.data());
}

void cuda_kmeans::launch_add(int count) {
    if (centre_rows_.size() <= k_) {
        device_buffer<std::int64_t> more(state_, "centres of a start", std::max<std::int64_t>(64, 2 * k_));
        copy_async(*state_, more.data(), centre_rows_.data(), k_);
        centre_rows_ = std::move(more);
    }
    launch(*state_, "add_centre", {blocks_, block_threads}, cuda::add_centre, view(), candidates_.data(), count,
           partial_.data(), distances_.data(), static_cast<std::int32_t>(k_), mass_.data(), centre_rows_.data());
    ++k_, gathered_ = false;
}

void cuda_kmeans::draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) {
    state_->activate();
    const auto count = static_cast<int>(uniforms.size());
    launch_draw(uniforms);
    std::vector<double> partial(static_cast<std::size_t>(k_ > 0 && count > 1 ? blocks_ * count : 0));
    if (!partial.empty())
        launch_distances(count);
    copy_async(*state_, out.data(), candidates_.data(), count);
    copy_async(*state_, partial.data(), partial_.data(), std::ssize(partial));
    wait(); // the host adds them up
    for (std::size_t i = 0; i < partial.size(); ++i)
        out[i % count].potential += partial[i];
}

void cuda_kmeans::add_centre(std::int64_t row) {
    state_->activate();
    launch(*state_, "name_candidate", {1, 1}, name_candidate, candidates_.data(), row);
    launch_distances(1);
    launch_add(1);
}

void cuda_kmeans::add_best(std::span<const double> uniforms) {
    state_->activate();
    // Before the first centre all potentials are 0: the first candidate is the best.
    const auto count = k_ > 0 ? static_cast<int>(uniforms.size()) : 1;
    launch_draw(uniforms.first(count));
    launch_distances(count);
    launch_add(count);
}

void cuda_kmeans::centre_rows(std::span<std::int64_t> out) {
    state_->activate();
    copy_async(*state_, out.data(), centre_rows_.data(), std::ssize(out));
    wait(); // the caller reads them
}

void cuda_kmeans::launch_assign(std::int32_t k, const unsigned long long* before, unsigned long long* changed) {
    with_groups(k, [&]<int Groups>() {
        launch(*state_, "assign_rows", {blocks_for(rows_, distance_tile<Groups>::rows), tile_threads},
               assign_rows<Groups>, view(), centres_.data(), k, before, changed);
    });
}

std::int64_t cuda_kmeans::assign(std::span<const double> centres) {
    state_->activate();
    const std::int64_t size = std::ssize(centres);
    if (centres_.size() < size)
        centres_ = device_buffer<double>(state_, "centres of a start", size);
    if (changed_.size() == 0)
        changed_ = device_buffer<unsigned long long>(state_, "k-means counters", 1);
    k_ = size / cols_, gathered_ = true;
    copy_async(*state_, centres_.data(), centres.data(), size);
    clear_async(*state_, changed_.data(), 1);
    launch_assign(static_cast<std::int32_t>(k_), nullptr, changed_.data());
    unsigned long long changed = 0;
    copy_async(*state_, &changed, changed_.data(), 1);
    wait(); // the host reads the count
    return static_cast<std::int64_t>(changed);
}

void cuda_kmeans::reserve_clusters(std::int64_t k) {
    if (clusters_ == k)
        return;
    counts_ = device_buffer<std::int32_t>(state_, "labels of a start", 2 * spans(rows_, k) * k);
    ranks_ = device_buffer<std::int32_t>(state_, "ranks of a start", rows_);
    order_ = device_buffer<std::int64_t>(state_, "row numbers of a start", rows_);
    bounds_ = device_buffer<std::int64_t>(state_, "clusters of a start", 2 * (k + 1));
    chunk_sums_ = device_buffer<double>(state_, "partial sums of a start", largest_chunks(rows_, k) * (cols_ + 1));
    cluster_sums_ = device_buffer<double>(state_, "sums of a start", k * (cols_ + 1));
    clusters_ = k;
}

cluster_view cuda_kmeans::launch_order(std::int64_t k, const unsigned long long* before) {
    reserve_clusters(k);
    const std::int64_t span = span_rows(k), blocks = spans(rows_, k);
    std::int64_t *begins = bounds_.data(), *first_chunks = begins + k + 1;
    std::int32_t *counts = counts_.data(), *offsets = counts + blocks * k;
    const bool in_shared = k <= shared_labels;
    launch(*state_, "rank_rows", {blocks, warp_threads, in_shared ? 4 * k : 0}, rank_rows, view(), span, k, in_shared,
           before, counts, ranks_.data());
    launch(*state_, "place_clusters", {1, scan_threads}, place_clusters, counts, blocks, k, before, offsets, begins,
           first_chunks);
    launch_each("order_rows", rows_, order_rows, view(), span, k, before, ranks_.data(), offsets, begins,
                order_.data());
    return {order_.data(), begins, first_chunks, k};
}

void cuda_kmeans::launch_sums(std::int64_t k, const unsigned long long* before, double* centres) {
    const cluster_view clusters = launch_order(k, before);
    launch_each("sum_chunks", largest_chunks(rows_, k) * (cols_ + 1), sum_chunks, view(), clusters, before,
                chunk_sums_.data());
    launch_each("finish_clusters", k * (cols_ + 1), finish_clusters, chunk_sums_.data(), clusters, cols_, before,
                cluster_sums_.data(), centres);
}

void cuda_kmeans::cluster_sums(std::span<double> sums, std::span<double> counts) {
    state_->activate();
    const std::int64_t k = std::ssize(counts), columns = cols_ + 1;
    launch_sums(k, nullptr, nullptr);
    std::vector<double> host(static_cast<std::size_t>(k * columns));
    copy_async(*state_, host.data(), cluster_sums_.data(), k * columns);
    wait(); // the host takes them apart
    for (std::int64_t c = 0; c < k; ++c) {
        std::copy_n(&host[c * columns], cols_, &sums[c * cols_]);
        counts[c] = host[c * columns + cols_];
    }
}

void cuda_kmeans::gather() {
    if (gathered_)
        return;
    if (centres_.size() < k_ * cols_)
        centres_ = device_buffer<double>(state_, "centres of a start", k_ * cols_);
    launch_each("gather_centres", k_ * cols_, gather_centres, view(), centre_rows_.data(), k_, centres_.data());
    gathered_ = true;
}

void cuda_kmeans::refine(int iterations) {
    state_->activate();
    if (iterations <= 1)
        return;
    gather();
    if (changed_.size() < iterations)
        changed_ = device_buffer<unsigned long long>(state_, "k-means counters", iterations);
    clear_async(*state_, changed_.data(), iterations);
    const unsigned long long* before = nullptr;
    for (int t = 1; t < iterations; ++t) { // once nothing changed, the rest of the launches return at once
        launch_sums(k_, before, centres_.data());
        launch_assign(static_cast<std::int32_t>(k_), before, changed_.data() + t);
        before = changed_.data() + t;
    }
}

void cuda_kmeans::centres(std::span<double> out) {
    state_->activate();
    gather();
    copy_async(*state_, out.data(), centres_.data(), std::ssize(out));
    wait(); // the caller reads them
}

void cuda_kmeans::labels(std::span<std::int32_t> out) {
    state_->activate();
    copy_async(*state_, out.data(), labels_.data(), rows_);
    wait(); // the caller reads them
}

std::unique_ptr<kmeans_engine> make_kmeans(const context& ctx) {
    return std::make_unique<cuda_kmeans>(ctx.state().cuda);
}

} // namespace elbo::kernels::cuda
