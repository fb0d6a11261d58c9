// A start on the device. The host waits for the log-likelihood of a candidate and for the parameters, and for nothing
// else.
// Predicted for an H200 and rows on the device, by launches, bytes and float64 operations (docs/kernels.md section 6,
// "Starts"): 1e7 x 2 x 8 0.9 to 1.7 ms, 1e6 x 16 x 64 3 to 4.5, 1e6 x 128 x 256 19 to 23, 1e5 x 784 x 10 28 to 38.
#include "elbo/error.hpp"
#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/kmeans/sample.cuh"
#include "kernels/cuda/kmeans/statistics.cuh"

#include <algorithm>
#include <utility>
#include <vector>

namespace elbo::kernels::cuda {

namespace {

/// Rows of a segment: few where a thread sums one column, and so many of wide rows that the partial sums of all
/// segments do not outgrow the covariances.
std::int64_t segment_span(bool matrix, std::int64_t d) {
    return !matrix ? kmeans_chunk_rows : d <= 128 ? 1024 : 4096;
}

/// Entries of a side of the tile that a block sums are 16 times this.
constexpr int narrow_moments = 2, wide_moments = 4;
constexpr std::int64_t narrow_columns = 16 * narrow_moments;

class cuda_start final : public start_engine {
public:
    cuda_start(state_pointer state, const gmm_shape& shape)
        : state_(std::move(state)), shape_(shape), geometry_(gmm::geometry(shape.family)), kmeans_(state_) {}

    std::int64_t bytes_needed(std::int64_t rows, std::int64_t judged) const override {
        const std::int64_t d = shape_.dimensions, k = shape_.components, size = covariance_size();
        const std::int64_t moved = geometry_.spherical() ? 0 : rows * d;
        const std::int64_t formed = k * (d + 1) + geometry_.count(k) * geometry_.size(d);
        const std::int64_t numbers = rows * (d + 3) + moved + segments(rows, k) * size + chunks(rows) * (d + 1) +
                                     (k + 2) * size + (geometry_.matrix() ? size : 0) + k * (2 * d + 1) + 2 * formed +
                                     (k + 2) * (d + 1) + 4 + judged * k + d + 2;
        // Of what k-means needs the rows and their weights are here already. Rows of the host come in pieces.
        return 8 * (numbers + std::min(rows, gathered_rows(d)) * d) + kmeans_.bytes_needed(rows, d, k) -
               8 * rows * (d + 1);
    }

    void load(const start_rows& s) override {
        state_->activate();
        reserve(s.rows);
        copy_async(*state_, x_.data(), s.x, rows_ * shape_.dimensions);
        copy_async(*state_, weights_.data(), s.weights, rows_);
        copy_async(*state_, usual_.data(), s.usual, rows_);
    }

    std::int64_t draw(const start_draw& from) override {
        return from.x.type == element_type::float32 ? draw_from(from.x.as<float>(), from)
                                                    : draw_from(from.x.as<double>(), from);
    }

    void drawn(std::span<double> x, std::span<double> usual) override {
        state_->activate();
        copy_async(*state_, x.data(), x_.data(), rows_ * shape_.dimensions);
        copy_async(*state_, usual.data(), usual_.data(), rows_);
        internal::wait_for(*state_); // the host reads them
    }

    kmeans_engine& kmeans() override { return kmeans_; }

    void measure_in(start_coordinates coordinates) override {
        state_->activate();
        const std::int64_t d = shape_.dimensions;
        if (coordinates == start_coordinates::plain) {
            kmeans_.use(x_.data(), weights_.data(), rows_, d);
            return;
        }
        if (y_.size() == 0)
            y_ = numbers("coordinates of a start", rows_ * d);
        find_total();
        if (coordinates == start_coordinates::scaled)
            launch_each("scale_rows", rows_ * d, scale_rows, x_.data(), total_.data(), geometry_.matrix() ? d + 1 : 1,
                        rows_, d, y_.data());
        else
            launch(*state_, "whiten_rows",
                   {blocks_for(rows_, transform_tile) * blocks_for(d, transform_tile), statistic_threads}, whiten_rows,
                   x_.data(), total_factor_.data(), rows_, d, y_.data());
        kmeans_.use(y_.data(), weights_.data(), rows_, d);
    }

    void form(std::span<const double> lambda) override {
        state_->activate();
        copy_async(*state_, lambda_.data(), lambda.data(), shape_.dimensions);
        const std::int64_t d = shape_.dimensions, k = shape_.components;
        const sample_view rows = weighed(weights_.data());
        const cluster_view clusters = kmeans_.sum_clusters(rows, k, sums_.data(), formed_.means.data());
        sum_covariances(rows, clusters, sums_.data(), formed_.means.data(), covariances_.data());
        const start_moments m = moments();
        launch_each("pool_covariances", covariance_size() + k, pool_covariances, m, covariance_size(), pooled_.data(),
                    formed_.log_weights.data());
        if (geometry_.matrix())
            with_factor_team(geometry_.count(k), [&]<class Team>(const launch_shape& grid) {
                launch(*state_, "factor_components", grid, factor_components<Team>, m, geometry_.tied,
                       factor_limit(state_->shared_bytes), formed_.factors.data(), failed_.data());
            });
        else
            launch_each("invert_deviations", geometry_.count(k) * geometry_.size(d), invert_deviations, m,
                        geometry_.tied, geometry_.spherical(), formed_.factors.data());
    }

    double log_likelihood(std::int64_t rows) override {
        state_->activate();
        const std::int64_t k = shape_.components;
        if (log_joint_.size() < rows * k + 1)
            log_joint_ = numbers("log-densities of a start", rows * k + 1); // and their sum
        const formed_view p{formed_.log_weights.data(), formed_.means.data(), formed_.factors.data(), geometry_, k,
                            shape_.dimensions};
        double* sum = log_joint_.data() + rows * k;
        launch_each("log_densities", rows * k * 32, log_densities, x_.data(), rows, p, log_joint_.data());
        launch(*state_, "sum_log_likelihood", {1, statistic_threads}, sum_log_likelihood, log_joint_.data(),
               weights_.data(), rows, k, sum);
        double result = 0;
        copy_async(*state_, &result, sum, 1);
        internal::wait_for(*state_); // the host compares it
        return result;
    }

    void keep() override { std::swap(formed_, kept_); }

    gmm_parameters parameters() override {
        state_->activate();
        gmm_parameters p;
        const auto fetch = [&](const device_buffer<double>& from, std::vector<double>& to) {
            to.resize(from.size());
            copy_async(*state_, to.data(), from.data(), from.size());
        };
        fetch(kept_.log_weights, p.log_weights);
        fetch(kept_.means, p.means);
        fetch(kept_.factors, p.precision_cholesky);
        int failed = 0;
        copy_async(*state_, &failed, failed_.data(), 1);
        internal::wait_for(*state_); // the host goes on with them
        if (failed)
            throw error("the covariance of the rows that the start looks at is not finite: scale the columns");
        return p;
    }

private:
    struct parameter_buffers {
        device_buffer<double> log_weights, means, factors;
    };

    device_buffer<double> numbers(const char* what, std::int64_t count) const { return {state_, what, count}; }
    std::int64_t covariance_size() const {
        return geometry_.matrix() ? shape_.dimensions * shape_.dimensions : shape_.dimensions;
    }
    /// Rows of the host that are copied at a time: about a megabyte.
    static std::int64_t gathered_rows(std::int64_t d) { return std::max<std::int64_t>(1, (1 << 17) / d); }
    static std::int64_t chunks(std::int64_t rows) { return rows / kmeans_chunk_rows + 1; }
    std::int64_t segments(std::int64_t rows, std::int64_t k) const {
        return (rows - 1) / segment_span(geometry_.matrix(), shape_.dimensions) + k;
    }
    start_moments moments() const {
        return {sums_.data(),   formed_.means.data(), covariances_.data(), pooled_.data(),
                lambda_.data(), shape_.components,    shape_.dimensions};
    }
    /// A kernel with one thread for each of `count` items.
    template <class... P, class... A>
    void launch_each(const char* name, std::int64_t count, void (*kernel)(P...), A&&... args) const {
        launch(*state_, name, {blocks_for(count, statistic_threads), statistic_threads}, kernel,
               std::forward<A>(args)...);
    }

    /// Calls work(Team) with the grid that factors so many matrices: where they are large a cluster a matrix.
    template <class Work>
    void with_factor_team(std::int64_t matrices, const Work& work) const {
        const std::int64_t d = shape_.dimensions;
        const std::int64_t in_shared = factor_limit(state_->shared_bytes);
        const std::int64_t blocks = factor_blocks({gmm::family::full, d, matrices}, state_->multiprocessors,
                                                  largest_cluster(*state_), in_shared);
        const launch_shape grid{.blocks = matrices * blocks,
                                .threads = factor_threads(d),
                                .shared_bytes = factor_shared_bytes(d, in_shared),
                                .cluster = static_cast<unsigned>(blocks)};
        if (blocks > 1)
            work.template operator()<cluster_team>(grid);
        else
            work.template operator()<block_team>(grid);
    }

    /// Memory for the start from so many rows.
    void reserve(std::int64_t rows) {
        const std::int64_t d = shape_.dimensions, k = shape_.components;
        rows_ = rows;
        x_ = numbers("rows of a start", rows_ * d);
        weights_ = numbers("weights of a start", rows_);
        usual_ = numbers("usual rows of a start", rows_);
        lambda_ = numbers("regularization of a start", d);
        order_ = device_buffer<std::int64_t>(state_, "all rows of a start", rows_);
        bounds_ = device_buffer<std::int64_t>(state_, "bounds of a start", 4);
        partial_ = numbers("moments of segments", segments(rows_, k) * covariance_size());
        sums_ = numbers("sums of a start", k * (d + 1));
        covariances_ = numbers("covariances of a start", k * covariance_size());
        pooled_ = numbers("pooled covariance of a start", covariance_size());
        failed_ = device_buffer<int>(state_, "flag of a start", 1);
        for (parameter_buffers* p : {&formed_, &kept_}) {
            p->log_weights = numbers("weights of components", k);
            p->means = numbers("means of a start", k * d);
            p->factors = numbers("factors of a start", geometry_.count(k) * geometry_.size(d));
        }
        y_ = {};
        total_known_ = false;
        clear_async(*state_, failed_.data(), 1);
    }

    template <class X>
    std::int64_t draw_from(const matrix_view<const X>& x, const start_draw& from) {
        state_->activate();
        const std::int64_t d = shape_.dimensions, blocks = blocks_for(x.rows, draw_span);
        const row_draw draw{from.seed, from.share, x.rows};
        const device_buffer<std::int64_t> counts(state_, "counts of drawn rows", blocks + 1);
        launch(*state_, "count_taken", {blocks, draw_threads}, count_taken, draw, counts.data());
        launch(*state_, "add_counts", {1, scan_threads}, add_counts, counts.data(), blocks);
        std::int64_t count = 0;
        copy_async(*state_, &count, counts.data() + blocks, 1);
        internal::wait_for(*state_); // memory depends on it
        if (count == 0)
            return 0;
        reserve(count);
        launch(*state_, "list_taken", {blocks, draw_threads}, list_taken, draw, counts.data(), order_.data());
        const device_buffer<double> columns(state_, "frame of a start", 4 * d); // and what is usual
        copy_async(*state_, columns.data(), from.to.centre.data(), d);
        copy_async(*state_, columns.data() + d, from.to.scale.data(), d);
        launch_each("fill_numbers", count, fill_numbers, weights_.data(), count, 1.0);
        const device_buffer<unsigned long long> usual(state_, "count of usual rows", 1);
        unsigned long long usual_rows = 0;
        const bool ranges = !from.lower.empty();
        if (ranges) {
            copy_async(*state_, columns.data() + 2 * d, from.lower.data(), d);
            copy_async(*state_, columns.data() + 3 * d, from.upper.data(), d);
            clear_async(*state_, usual.data(), 1);
        }
        // `taken` of these rows, all where it is null, are rows `first` and following of the sample.
        const auto take = [&](const matrix_view<const X>& rows, const std::int64_t* taken, std::int64_t first,
                              std::int64_t number) {
            launch_each("normalize_taken", number * d, normalize_taken<X>, rows, taken, number, columns.data(),
                        columns.data() + d, x_.data() + first * d);
            if (ranges)
                launch_each("find_usual", number, find_usual<X>, rows, taken, number, columns.data() + 2 * d,
                            usual_.data() + first, usual.data());
        };
        if (x.space == memory_space::device)
            take(x, order_.data(), 0, count);
        else
            gather(x, take);
        if (ranges) {
            copy_async(*state_, &usual_rows, usual.data(), 1);
            internal::wait_for(*state_); // whether there are any
        }
        if (usual_rows == 0)
            launch_each("fill_numbers", count, fill_numbers, usual_.data(), count, 1.0);
        return count;
    }

    /// Calls take(rows, null, first, number) for pieces of the rows of the host that are listed in `order_`.
    template <class X, class Take>
    void gather(const matrix_view<const X>& x, const Take& take) const {
        std::vector<std::int64_t> listed(static_cast<std::size_t>(rows_));
        copy_async(*state_, listed.data(), order_.data(), rows_);
        internal::wait_for(*state_); // the host reads these rows
        const std::int64_t most = std::min(rows_, gathered_rows(x.cols));
        std::vector<X> piece(static_cast<std::size_t>(most * x.cols));
        const device_buffer<X> on_device(state_, "gathered rows of a start", most * x.cols);
        for (std::int64_t first = 0; first < rows_; first += most) {
            const std::int64_t number = std::min(most, rows_ - first);
            for (std::int64_t i = 0; i < number; ++i)
                std::copy_n(x.data + listed[static_cast<std::size_t>(first + i)] * x.stride, x.cols,
                            piece.begin() + i * x.cols);
            copy_async(*state_, on_device.data(), piece.data(), number * x.cols);
            take({on_device.data(), number, x.cols, memory_space::device}, nullptr, first, number);
            internal::wait_for(*state_); // the next piece takes the same memory
        }
    }

    /// The rows with these weights.
    sample_view weighed(const double* weights) const {
        return {x_.data(), weights, nullptr, nullptr, rows_, shape_.dimensions};
    }

    /// Covariances of the clusters of the rows about these means.
    void sum_covariances(const sample_view& rows, const cluster_view& clusters, const double* sums, const double* means,
                         double* covariances) {
        const std::int64_t d = shape_.dimensions, k = clusters.k;
        const std::int64_t span = segment_span(geometry_.matrix(), d), count = segments(rows_, k);
        const auto launch_products = [&](int each, auto kernel) {
            const std::int64_t side = blocks_for(d, 16 * each);
            launch(*state_, "sum_products", {count * side * (side + 1) / 2, statistic_threads}, kernel, rows, clusters,
                   span, means, partial_.data());
        };
        if (!geometry_.matrix())
            launch_each("sum_squares", count * d, sum_squares, rows, clusters, span, count, means, partial_.data());
        else if (d <= narrow_columns)
            launch_products(narrow_moments, sum_products<narrow_moments>);
        else
            launch_products(wide_moments, sum_products<wide_moments>);
        launch_each("finish_covariances", k * covariance_size(), finish_covariances, partial_.data(), clusters, span,
                    sums, d, geometry_.matrix(), covariances);
    }

    /// The total covariance of the usual rows and, of a matrix, its factor.
    void find_total() {
        if (std::exchange(total_known_, true))
            return;
        const std::int64_t d = shape_.dimensions;
        total_ = numbers("total covariance", covariance_size());
        total_sums_ = numbers("total sums", 2 * d + 1); // and the mean
        std::int64_t *begins = bounds_.data(), *first_chunks = begins + 2;
        launch_each("take_usual", rows_, take_usual, weights_.data(), usual_.data(), rows_, begins, first_chunks,
                    order_.data());
        const sample_view rows = weighed(usual_.data());
        const cluster_view all{order_.data(), begins, first_chunks, 1};
        double *sums = total_sums_.data(), *mean = sums + d + 1;
        const device_buffer<double> partial = numbers("sums of chunks of a start", chunks(rows_) * (d + 1));
        kmeans_.sum_ordered(rows, all, partial.data(), sums, mean);
        sum_covariances(rows, all, sums, mean, total_.data());
        if (!geometry_.matrix())
            return;
        total_factor_ = numbers("factor of the total covariance", d * d);
        with_factor_team(1, [&]<class Team>(const launch_shape& grid) {
            launch(*state_, "factor_total", grid, factor_total<Team>, total_.data(), d,
                   factor_limit(state_->shared_bytes), total_factor_.data(), failed_.data());
        });
    }

    state_pointer state_;
    const gmm_shape shape_;
    const gmm::family_geometry geometry_;
    cuda_kmeans kmeans_;
    std::int64_t rows_ = 0;
    bool total_known_ = false;
    device_buffer<double> x_, weights_, lambda_;
    device_buffer<double> usual_;                             ///< [rows]; once the total is known w · usual
    device_buffer<double> y_;                                 ///< the rows in the coordinates of k-means
    device_buffer<double> total_, total_factor_, total_sums_; ///< of all usual rows
    device_buffer<std::int64_t> order_, bounds_;              ///< all rows as one cluster
    device_buffer<double> partial_, sums_, covariances_, pooled_, log_joint_;
    device_buffer<int> failed_;
    parameter_buffers formed_, kept_;
};

} // namespace

std::unique_ptr<start_engine> make_start(const context& ctx, const gmm_shape& shape) {
    return std::make_unique<cuda_start>(ctx.state().cuda, shape);
}

} // namespace elbo::kernels::cuda
