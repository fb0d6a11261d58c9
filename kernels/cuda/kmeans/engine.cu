#include "kernels/cuda/kmeans/engine.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/kmeans/choose.cuh"
#include "kernels/cuda/kmeans/lloyd.cuh"

#include <algorithm>
#include <cmath>
#include <vector>

namespace elbo::kernels::cuda {

namespace {

/// Counts of labels that a block has in shared memory; of more labels the counts lie in device memory.
constexpr std::int64_t shared_counts = 1 << 13;
constexpr int tile_warps = tile_threads / 32;

/// Rows whose labels a block counts: of many labels more, so that the counts take no more memory than the rows.
std::int64_t span_rows(std::int64_t k) {
    return kmeans_block_rows * std::max<std::int64_t>(1, k / kmeans_block_rows);
}
std::int64_t spans(std::int64_t rows, std::int64_t k) {
    return blocks_for(rows, span_rows(k));
}
/// Warps that share a span, each with counts of its own.
int span_parts(std::int64_t k) {
    int parts = k <= shared_counts ? 1 : 0;
    while (parts > 0 && parts < tile_warps && 2 * parts * k <= shared_counts)
        parts *= 2;
    return parts;
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

/// The largest of the tiles of rows and of the items of a thread each.
launch_shape grid_for(std::int64_t tiles, std::int64_t items, std::int64_t shared_bytes) {
    constexpr std::int64_t most_each = 32; // blocks a tile: of few long rows, those without one only wait
    return {.blocks = std::max(tiles, std::min(most_each * tiles, blocks_for(items, tile_threads))),
            .threads = tile_threads,
            .shared_bytes = shared_bytes,
            .together = true};
}

} // namespace

cuda_kmeans::cuda_kmeans(state_pointer state)
    : state_(std::move(state)), candidates_(state_, "k-means candidates", kmeans_candidate_limit) {}

void cuda_kmeans::wait() const {
    internal::wait_for(*state_);
}

std::int64_t cuda_kmeans::bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const {
    const auto candidates = 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k))); // of a greedy choice
    const std::int64_t each_row = 8 * (cols + 2 + candidates) + 4 + 4 + 8;                   // label, rank, number
    return rows * each_row + 8 * kmeans_blocks(rows) * (2 + kmeans_candidate_limit) +
           8 * (largest_chunks(rows, k) + k) * (cols + 1) + 8 * spans(rows, k) * k + 24 * (k + 1) + 8 * k * cols +
           8 * k * (2 + candidates) + static_cast<std::int64_t>(sizeof(kmeans_candidate)) * kmeans_candidate_limit;
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
    restart();
}

void cuda_kmeans::restart() {
    k_ = chosen_ = 0, gathered_ = labelled_ = false;
    steps_.clear(), most_candidates_ = 1;
}

void cuda_kmeans::take_steps(std::int64_t count, bool adds) {
    const std::int64_t stride = 2 + most_candidates_;
    std::vector<double> values(static_cast<std::size_t>(count * stride));
    for (std::int64_t from = 0, step = 0; step < count; ++step) {
        const std::int64_t size = 2 + static_cast<std::int64_t>(steps_[from + 1]);
        std::copy_n(&steps_[from], size, &values[step * stride]);
        from += size;
    }
    if (step_values_.size() < std::ssize(values)) {
        step_values_ = {};
        step_values_ = device_buffer<double>(state_, "steps of a start", std::ssize(values));
    }
    if (distances_.size() < most_candidates_ * rows_) {
        distances_ = {};
        distances_ = device_buffer<double>(state_, "distances of candidates", most_candidates_ * rows_);
    }
    if (adds && centre_rows_.size() < chosen_ + count) {
        device_buffer<std::int64_t> more(state_, "centres of a start", chosen_ + count);
        copy_async(*state_, more.data(), centre_rows_.data(), chosen_);
        centre_rows_ = std::move(more);
    }
    copy_async(*state_, step_values_.data(), values.data(), std::ssize(values));
    const choice_view v{step_values_.data(),
                        stride,
                        count,
                        chosen_,
                        adds,
                        mass_.data(),
                        mass_.data() + blocks_,
                        distances_.data(),
                        partial_.data(),
                        centre_rows_.data(),
                        candidates_.data()};
    with_groups(most_candidates_, [&]<int Groups>() {
        launch(*state_, "choose_centres",
               grid_for(blocks_for(rows_, distance_tile<Groups>::rows), 0, 8 * (blocks_ + 32 * tile_warps)),
               choose_centres<Groups>, view(), v);
    });
    steps_.clear(), most_candidates_ = 1;
}

void cuda_kmeans::choose() {
    if (const std::int64_t count = k_ - chosen_; count > 0) {
        take_steps(count, true);
        chosen_ = k_, labelled_ = true;
    }
}

void cuda_kmeans::note_step(double row, std::span<const double> uniforms) {
    steps_.insert(steps_.end(), {row, static_cast<double>(uniforms.size())});
    steps_.insert(steps_.end(), uniforms.begin(), uniforms.end());
    most_candidates_ = std::max(most_candidates_, std::ssize(uniforms));
}

void cuda_kmeans::draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) {
    state_->activate();
    choose();
    note_step(-1, uniforms);
    take_steps(1, false);
    copy_async(*state_, out.data(), candidates_.data(), std::ssize(uniforms));
    wait(); // the caller reads them
}

void cuda_kmeans::add_centre(std::int64_t row) {
    const double unused = 0;
    note_step(static_cast<double>(row), {&unused, 1});
    ++k_, gathered_ = false;
}

void cuda_kmeans::add_best(std::span<const double> uniforms) {
    // Before the first centre all potentials are 0: the first candidate is the best.
    note_step(-1, k_ > 0 ? uniforms : uniforms.first(1));
    ++k_, gathered_ = false;
}

void cuda_kmeans::centre_rows(std::span<std::int64_t> out) {
    state_->activate();
    choose();
    copy_async(*state_, out.data(), centre_rows_.data(), std::ssize(out));
    wait(); // the caller reads them
}

void cuda_kmeans::launch_moves(bool moves, std::int64_t iterations) {
    if (changed_.size() < iterations)
        changed_ = device_buffer<unsigned long long>(state_, "k-means counters", iterations);
    lloyd_view v{};
    v.order.k = k_;
    if (moves)
        v.order = reserve_clusters(k_);
    v.sums = {chunk_sums_.data(), cluster_sums_.data(), centres_.data(), true};
    v.centres = centres_.data();
    v.rows = gathered_ ? nullptr : centre_rows_.data();
    v.changed = changed_.data();
    v.unlabelled = !labelled_;
    with_groups(k_, [&]<int Groups>() {
        launch(*state_, "move_centres",
               grid_for(blocks_for(rows_, distance_tile<Groups>::rows),
                        moves ? largest_chunks(rows_, k_) * (cols_ + 1) : 0, counts_bytes(v.order)),
               move_centres<Groups>, view(), v, moves, iterations);
    });
    gathered_ = labelled_ = true;
}

std::int64_t cuda_kmeans::assign(std::span<const double> centres) {
    state_->activate();
    choose(); // what changes are the labels of the centres before
    reserve_centres(std::ssize(centres));
    k_ = chosen_ = std::ssize(centres) / cols_, gathered_ = true;
    copy_async(*state_, centres_.data(), centres.data(), std::ssize(centres));
    launch_moves(false, 1);
    unsigned long long changed = 0;
    copy_async(*state_, &changed, changed_.data(), 1);
    wait(); // the host reads the count
    return static_cast<std::int64_t>(changed);
}

void cuda_kmeans::reserve_centres(std::int64_t numbers) {
    if (centres_.size() < numbers)
        centres_ = device_buffer<double>(state_, "centres of a start", numbers);
}

order_view cuda_kmeans::reserve_clusters(std::int64_t k) {
    const std::int64_t blocks = spans(rows_, k);
    if (clusters_ != k) {
        counts_ = device_buffer<std::int32_t>(state_, "labels of a start", 2 * blocks * k);
        ranks_ = device_buffer<std::int32_t>(state_, "ranks of a start", rows_);
        order_ = device_buffer<std::int64_t>(state_, "row numbers of a start", rows_);
        bounds_ = device_buffer<std::int64_t>(state_, "clusters of a start", 2 * (k + 1));
        chunk_sums_ = device_buffer<double>(state_, "partial sums of a start", largest_chunks(rows_, k) * (cols_ + 1));
        cluster_sums_ = device_buffer<double>(state_, "sums of a start", k * (cols_ + 1));
        clusters_ = k;
    }
    return {k,
            span_rows(k),
            blocks,
            span_parts(k),
            counts_.data(),
            counts_.data() + blocks * k,
            ranks_.data(),
            bounds_.data(),
            bounds_.data() + k + 1,
            order_.data()};
}

std::int64_t cuda_kmeans::counts_bytes(const order_view& v) {
    return 4 * v.parts * v.k;
}

cluster_view cuda_kmeans::sum_clusters(const sample_view& rows, std::int64_t k, double* sums, double* means) {
    state_->activate();
    choose();
    const order_view order = reserve_clusters(k);
    launch(*state_, "sum_clusters", grid_for(order.spans, largest_chunks(rows_, k) * (cols_ + 1), counts_bytes(order)),
           cuda::sum_clusters, view(), order, true, rows, order.clusters(),
           cluster_sums_view{chunk_sums_.data(), sums, means, false});
    return order.clusters();
}

void cuda_kmeans::sum_ordered(const sample_view& rows, const cluster_view& clusters, double* partial, double* sums,
                              double* means) const {
    launch(*state_, "sum_clusters", grid_for(1, largest_chunks(rows.rows, clusters.k) * (rows.cols + 1), 0),
           cuda::sum_clusters, sample_view{}, order_view{}, false, rows, clusters,
           cluster_sums_view{partial, sums, means, false});
}

void cuda_kmeans::cluster_sums(std::span<double> sums, std::span<double> counts) {
    state_->activate();
    const std::int64_t k = std::ssize(counts), columns = cols_ + 1;
    reserve_clusters(k);
    sum_clusters(view(), k, cluster_sums_.data(), nullptr);
    std::vector<double> host(static_cast<std::size_t>(k * columns));
    copy_async(*state_, host.data(), cluster_sums_.data(), k * columns);
    wait(); // the host takes them apart
    for (std::int64_t c = 0; c < k; ++c) {
        std::copy_n(&host[c * columns], cols_, &sums[c * cols_]);
        counts[c] = host[c * columns + cols_];
    }
}

void cuda_kmeans::refine(int iterations) {
    state_->activate();
    choose();
    if (iterations <= 1)
        return;
    reserve_centres(k_ * cols_);
    launch_moves(true, iterations - 1);
}

void cuda_kmeans::centres(std::span<double> out) {
    state_->activate();
    choose();
    if (!gathered_) {
        reserve_centres(k_ * cols_);
        launch_moves(false, 0);
    }
    copy_async(*state_, out.data(), centres_.data(), std::ssize(out));
    wait(); // the caller reads them
}

void cuda_kmeans::labels(std::span<std::int32_t> out) {
    state_->activate();
    choose();
    if (!labelled_) {
        std::ranges::fill(out, -1);
        return;
    }
    copy_async(*state_, out.data(), labels_.data(), rows_);
    wait(); // the caller reads them
}

std::unique_ptr<kmeans_engine> make_kmeans(const context& ctx) {
    return std::make_unique<cuda_kmeans>(ctx.state().cuda);
}

} // namespace elbo::kernels::cuda
