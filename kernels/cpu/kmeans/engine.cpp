// k-means on the cores of the host: blocks of rows go to threads, tiles of rows times centres to vector registers.
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace elbo::kernels::cpu {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t block_strips = kmeans_block_rows / kmeans_lanes;
/// (row, dimension, centre) triples that are worth several threads, some tens of microseconds.
constexpr std::int64_t parallel_work = 1 << 18;

/// Calls job(i) for 0 ≤ i < count, on several threads where there is enough work.
template <class Job>
void for_each_job(std::int64_t count, std::int64_t work, int threads, const Job& job) {
    const std::int64_t step = std::max<std::int64_t>(1, parallel_work / 8 * count / std::max<std::int64_t>(1, work));
    parallel_ranges(work < parallel_work ? 1 : threads, count, step, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i)
            job(i);
    });
}

class cpu_kmeans final : public kmeans_engine {
public:
    explicit cpu_kmeans(int threads) : threads_(threads), kernels_(*choose_instruction_set().kmeans) {}

    std::int64_t bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const override {
        const std::int64_t padded = (rows + kmeans_lanes - 1) / kmeans_lanes * kmeans_lanes;
        const std::int64_t chunks = rows / kmeans_chunk_rows + k; // each cluster ends in one that is not full
        return padded * (8 * cols + 20) + 8 * (kmeans_candidate_limit * cols + 2 * rows + chunks * (cols + 4)) +
               8 * kmeans_blocks(rows) * (kmeans_candidate_limit + 3) + 8 * k * (3 * cols + 2);
    }

    void load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) override {
        x_ = x, weights_ = weights, rows_ = rows, cols_ = cols;
        blocks_ = kmeans_blocks(rows);
        strips_ = (rows + kmeans_lanes - 1) / kmeans_lanes;
        strip_x_ = aligned_array<double>(strips_ * kmeans_lanes * cols);
        strip_weights_ = aligned_array<double>(strips_ * kmeans_lanes);
        nearest_ = aligned_array<double>(strips_ * kmeans_lanes);
        labels_.resize(strips_ * kmeans_lanes);
        mass_.resize(blocks_);
        weight_mass_.resize(blocks_);
        potentials_.resize(blocks_ * kmeans_candidate_limit);
        std::copy_n(weights, rows, strip_weights_.data());
        for_each_job(blocks_, rows * cols, threads_, [&](std::int64_t b) { fill_strips(b); });
        sum_weights();
        restart();
    }

    void restart() override {
        centres_.clear();
        rows_chosen_.clear();
        std::fill_n(nearest_.data(), nearest_.size(), infinity);
        std::ranges::fill(labels_, -1);
    }

    void draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) override {
        row_mass mass{weights_, nearest_.data()};
        const bool by_weight = centres_.empty() || !(sum_of(mass_) > 0);
        if (by_weight)
            mass.nearest = nullptr;
        const std::vector<double>& blocks = by_weight ? weight_mass_ : mass_;
        const double total = sum_of(blocks);
        for (std::size_t c = 0; c < uniforms.size(); ++c)
            out[c] = {draw_row(mass, blocks, uniforms[c], total), 0};
        if (!centres_.empty() && uniforms.size() > 1)
            add_potentials(out);
    }

    void add_centre(std::int64_t row) override {
        const auto label = static_cast<std::int32_t>(rows_chosen_.size());
        for_each_job(blocks_, rows_ * cols_, threads_, [&](std::int64_t b) {
            alignas(64) double lanes[kmeans_lanes];
            kernels_.add_centre(block(b), x_ + row * cols_, label, lanes);
            mass_[b] = fold_lanes(lanes);
        });
        rows_chosen_.push_back(row);
        centres_.insert(centres_.end(), x_ + row * cols_, x_ + (row + 1) * cols_);
    }

    void add_best(std::span<const double> uniforms) override {
        kmeans_candidate all[kmeans_candidate_limit];
        const std::span candidates(all, uniforms.size());
        draw(uniforms, candidates);
        add_centre(std::ranges::min_element(candidates, {}, &kmeans_candidate::potential)->row);
    }

    void centre_rows(std::span<std::int64_t> out) override { std::ranges::copy(rows_chosen_, out.begin()); }

    std::int64_t assign(std::span<const double> centres) override {
        centres_ = {centres.begin(), centres.end()};
        const std::int64_t k = std::ssize(centres_) / cols_;
        changes_.resize(blocks_);
        for_each_job(blocks_, rows_ * cols_ * k, threads_,
                     [&](std::int64_t b) { changes_[b] = kernels_.assign(block(b), centres_.data(), k); });
        return std::accumulate(changes_.begin(), changes_.end(), std::int64_t(0));
    }

    void cluster_sums(std::span<double> sums, std::span<double> counts) override {
        order_by_label(static_cast<std::int64_t>(counts.size()));
        const auto chunks = static_cast<std::int64_t>(chunks_.size());
        chunk_sums_.resize(chunks * (cols_ + 1));
        for_each_job(chunks, rows_ * cols_, threads_, [&](std::int64_t i) { sum_chunk(i); });
        std::ranges::fill(sums, 0.0);
        std::ranges::fill(counts, 0.0);
        for (std::int64_t i = 0; i < chunks; ++i) {
            const double* chunk = &chunk_sums_[i * (cols_ + 1)];
            double* sum = &sums[chunks_[i].cluster * cols_];
            for (std::int64_t j = 0; j < cols_; ++j)
                sum[j] += chunk[j];
            counts[chunks_[i].cluster] += chunk[cols_];
        }
    }

    void refine(int iterations) override {
        std::vector<double> moved = centres_, sums(centres_.size()), counts(centres_.size() / cols_);
        for (int t = 1; t < iterations; ++t) {
            cluster_sums(sums, counts);
            for (std::size_t i = 0; i < moved.size(); ++i)
                if (counts[i / cols_] > 0)
                    moved[i] = sums[i] / counts[i / cols_];
            if (assign(moved) == 0)
                break;
        }
    }

    void centres(std::span<double> out) override { std::ranges::copy(centres_, out.begin()); }
    void labels(std::span<std::int32_t> out) override { std::copy_n(labels_.begin(), rows_, out.begin()); }

private:
    /// Rows order_[first ... first + count − 1], at most kmeans_chunk_rows of one cluster.
    struct chunk_range {
        std::int64_t cluster, first, count;
    };

    kmeans_block block(std::int64_t b) {
        const std::int64_t first = b * block_strips, at = first * kmeans_lanes;
        return {strip_x_.data() + at * cols_,
                strip_weights_.data() + at,
                nearest_.data() + at,
                labels_.data() + at,
                std::min(block_strips, strips_ - first),
                cols_};
    }

    void fill_strips(std::int64_t b) {
        const std::int64_t last = std::min(rows_, (b + 1) * kmeans_block_rows);
        for (std::int64_t n = b * kmeans_block_rows; n < last; ++n) {
            double* to = strip_x_.data() + n / kmeans_lanes * kmeans_lanes * cols_ + n % kmeans_lanes;
            for (std::int64_t j = 0; j < cols_; ++j)
                to[j * kmeans_lanes] = x_[n * cols_ + j];
        }
    }

    void sum_weights() {
        for (std::int64_t b = 0; b < blocks_; ++b) {
            double lanes[kmeans_lanes] = {};
            for (std::int64_t n = b * kmeans_block_rows; n < std::min(rows_, (b + 1) * kmeans_block_rows); ++n)
                lanes[n % kmeans_lanes] += weights_[n];
            weight_mass_[b] = fold_lanes(lanes);
        }
    }

    static double sum_of(const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0);
    }

    std::int64_t draw_row(const row_mass& mass, const std::vector<double>& blocks, double u, double total) const {
        double target = 0;
        const auto add_block = [&](double sum, std::int64_t b) { return sum + blocks[b]; };
        const std::int64_t first = kmeans_block_rows * find_mass(blocks_, u, total, add_block, target);
        const std::int64_t last = std::min(rows_, first + kmeans_block_rows);
        return draw_from_block(mass, first, last, target, [&](double sum, std::int64_t i) {
            const std::int64_t begin = first + i * kmeans_lanes;
            return sum + mass.run(begin, std::min(last, begin + kmeans_lanes));
        });
    }

    void add_potentials(std::span<kmeans_candidate> candidates) {
        const auto count = static_cast<std::int64_t>(candidates.size());
        candidate_rows_.resize(count * cols_);
        for (std::int64_t c = 0; c < count; ++c)
            std::copy_n(x_ + candidates[c].row * cols_, cols_, &candidate_rows_[c * cols_]);
        for_each_job(blocks_, rows_ * cols_ * count, threads_, [&](std::int64_t b) {
            alignas(64) double lanes[kmeans_candidate_limit * kmeans_lanes];
            kernels_.potentials(block(b), candidate_rows_.data(), count, lanes);
            for (std::int64_t c = 0; c < count; ++c)
                potentials_[b * count + c] = fold_lanes(lanes + c * kmeans_lanes);
        });
        for (std::int64_t b = 0; b < blocks_; ++b)
            for (std::int64_t c = 0; c < count; ++c)
                candidates[c].potential += potentials_[b * count + c];
    }

    /// Row numbers by label, ascending within one, and their chunks.
    void order_by_label(std::int64_t k) {
        std::vector<std::int64_t>& next = cluster_ends_;
        next.assign(k + 1, 0);
        for (std::int64_t n = 0; n < rows_; ++n)
            ++next[labels_[n] + 1];
        for (std::int64_t c = 0; c < k; ++c)
            next[c + 1] += next[c];
        order_.resize(rows_);
        for (std::int64_t n = 0; n < rows_; ++n)
            order_[next[labels_[n]]++] = n; // from here on next[c] moves from the begin of cluster c to its end
        chunks_.clear();
        for (std::int64_t c = 0; c < k; ++c)
            for (std::int64_t i = c == 0 ? 0 : next[c - 1]; i < next[c]; i += kmeans_chunk_rows)
                chunks_.push_back({c, i, std::min(kmeans_chunk_rows, next[c] - i)});
    }

    void sum_chunk(std::int64_t i) {
        const chunk_range& chunk = chunks_[i];
        const std::int64_t* rows = &order_[chunk.first];
        double* sums = &chunk_sums_[i * (cols_ + 1)];
        kernels_.sum_rows(x_, weights_, cols_, rows, chunk.count, sums);
        sums[cols_] = 0;
        for (std::int64_t r = 0; r < chunk.count; ++r)
            sums[cols_] += weights_[rows[r]];
    }

    const int threads_;
    const kmeans_table& kernels_;
    const double* x_ = nullptr;
    const double* weights_ = nullptr;
    std::int64_t rows_ = 0, cols_ = 0, blocks_ = 0, strips_ = 0;
    std::vector<double> centres_; ///< [k x cols]
    std::vector<std::int64_t> rows_chosen_;
    aligned_array<double> strip_x_, strip_weights_, nearest_;
    std::vector<std::int32_t> labels_;
    std::vector<double> mass_;        ///< [blocks] Σ w nearest
    std::vector<double> weight_mass_; ///< [blocks] Σ w
    std::vector<double> potentials_;  ///< [blocks x candidates]
    std::vector<double> candidate_rows_, chunk_sums_;
    std::vector<std::int64_t> changes_, cluster_ends_, order_;
    std::vector<chunk_range> chunks_;
};

} // namespace

std::unique_ptr<kmeans_engine> make_kmeans(const context& ctx) {
    return std::make_unique<cpu_kmeans>(ctx.threads());
}

} // namespace elbo::kernels::cpu
