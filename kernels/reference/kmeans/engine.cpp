// k-means in plain loops.
#include "kernels/contract/kmeans_engine.hpp"
#include "kernels/math/kmeans.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace elbo::kernels::reference {

namespace {

class reference_kmeans final : public kmeans_engine {
public:
    std::int64_t bytes_needed(std::int64_t rows, std::int64_t cols, std::int64_t k) const override {
        return 12 * rows + 8 * (cols + 1) + 8 * k * (3 * cols + 2);
    }

    void load(const double* x, const double* weights, std::int64_t rows, std::int64_t cols) override {
        x_ = x, weights_ = weights, rows_ = rows, cols_ = cols;
        restart();
    }

    void restart() override {
        centres_.clear();
        rows_chosen_.clear();
        nearest_.assign(rows_, std::numeric_limits<double>::infinity());
        labels_.assign(rows_, -1);
    }

    void draw(std::span<const double> uniforms, std::span<kmeans_candidate> out) override {
        row_mass mass{weights_, nearest_.data()};
        if (centres_.empty() || !(total(mass) > 0))
            mass.nearest = nullptr;
        const double all = total(mass);
        for (std::size_t c = 0; c < uniforms.size(); ++c) {
            out[c] = {draw_row(mass, uniforms[c], all), 0};
            if (!centres_.empty() && uniforms.size() > 1)
                out[c].potential = potential_with(out[c].row);
        }
    }

    void add_centre(std::int64_t row) override {
        const auto label = static_cast<std::int32_t>(rows_chosen_.size());
        for (std::int64_t n = 0; n < rows_; ++n) {
            const double distance = squared_distance(x_ + n * cols_, x_ + row * cols_, cols_);
            if (distance < nearest_[n])
                nearest_[n] = distance, labels_[n] = label;
        }
        rows_chosen_.push_back(row);
        centres_.insert(centres_.end(), x_ + row * cols_, x_ + (row + 1) * cols_);
    }

    void add_best(std::span<const double> uniforms) override {
        std::vector<kmeans_candidate> candidates(uniforms.size());
        draw(uniforms, candidates);
        add_centre(std::ranges::min_element(candidates, {}, &kmeans_candidate::potential)->row);
    }

    void centre_rows(std::span<std::int64_t> out) override { std::ranges::copy(rows_chosen_, out.begin()); }

    std::int64_t assign(std::span<const double> centres) override {
        centres_ = {centres.begin(), centres.end()};
        const auto k = static_cast<std::int32_t>(std::ssize(centres_) / cols_);
        std::int64_t changed = 0;
        for (std::int64_t n = 0; n < rows_; ++n) {
            const std::int32_t before = labels_[n];
            nearest_[n] = std::numeric_limits<double>::infinity();
            for (std::int32_t c = 0; c < k; ++c) {
                const double distance = squared_distance(x_ + n * cols_, &centres_[c * cols_], cols_);
                if (distance < nearest_[n])
                    nearest_[n] = distance, labels_[n] = c;
            }
            changed += labels_[n] != before;
        }
        return changed;
    }

    void cluster_sums(std::span<double> sums, std::span<double> counts) override {
        const auto k = static_cast<std::int64_t>(counts.size());
        std::ranges::fill(sums, 0.0);
        std::ranges::fill(counts, 0.0);
        std::vector<double> chunk(cols_ + 1);
        for (std::int64_t c = 0; c < k; ++c) {
            std::int64_t filled = 0;
            for (std::int64_t n = 0; n < rows_; ++n) {
                if (labels_[n] != c)
                    continue;
                for (std::int64_t j = 0; j < cols_; ++j)
                    chunk[j] = std::fma(weights_[n], x_[n * cols_ + j], chunk[j]);
                chunk[cols_] += weights_[n];
                if (++filled % kmeans_chunk_rows == 0)
                    flush(chunk, &sums[c * cols_], counts[c]);
            }
            flush(chunk, &sums[c * cols_], counts[c]);
        }
    }

    void refine(int iterations) override {
        std::vector<double> counts(centres_.size() / cols_), sums(centres_.size());
        for (int t = 1; t < iterations; ++t) {
            cluster_sums(sums, counts);
            std::vector<double> moved = centres_;
            for (std::size_t i = 0; i < moved.size(); ++i)
                if (counts[i / cols_] > 0)
                    moved[i] = sums[i] / counts[i / cols_];
            if (assign(moved) == 0)
                break;
        }
    }

    void centres(std::span<double> out) override { std::ranges::copy(centres_, out.begin()); }
    void labels(std::span<std::int32_t> out) override { std::ranges::copy(labels_, out.begin()); }

private:
    template <class Value>
    double sum_of_block(std::int64_t block, const Value& add) const {
        double lanes[kmeans_lanes] = {};
        const std::int64_t first = block * kmeans_block_rows;
        for (std::int64_t n = first; n < std::min(rows_, first + kmeans_block_rows); ++n)
            lanes[n % kmeans_lanes] = add(lanes[n % kmeans_lanes], n);
        return fold_lanes(lanes);
    }

    template <class Value>
    double sum_of_rows(const Value& add) const {
        double sum = 0;
        for (std::int64_t b = 0; b < kmeans_blocks(rows_); ++b)
            sum += sum_of_block(b, add);
        return sum;
    }

    double total(const row_mass& mass) const {
        return sum_of_rows([&](double sum, std::int64_t n) { return mass.add(sum, n); });
    }

    double potential_with(std::int64_t candidate) const {
        const double* centre = x_ + candidate * cols_;
        return sum_of_rows([&](double sum, std::int64_t n) {
            const double distance = std::min(nearest_[n], squared_distance(x_ + n * cols_, centre, cols_));
            return std::fma(weights_[n], distance, sum);
        });
    }

    std::int64_t draw_row(const row_mass& mass, double u, double all) const {
        double target = 0;
        const auto add_block = [&](double sum, std::int64_t b) {
            return sum + sum_of_block(b, [&](double s, std::int64_t n) { return mass.add(s, n); });
        };
        const std::int64_t first = kmeans_block_rows * find_mass(kmeans_blocks(rows_), u, all, add_block, target);
        const std::int64_t last = std::min(rows_, first + kmeans_block_rows);
        return draw_from_block(mass, first, last, target, [&](double sum, std::int64_t i) {
            const std::int64_t begin = first + i * kmeans_lanes;
            return sum + mass.run(begin, std::min(last, begin + kmeans_lanes));
        });
    }

    void flush(std::vector<double>& chunk, double* sums, double& count) const {
        for (std::int64_t j = 0; j < cols_; ++j)
            sums[j] += chunk[j];
        count += chunk[cols_];
        std::ranges::fill(chunk, 0.0);
    }

    const double* x_ = nullptr;
    const double* weights_ = nullptr;
    std::int64_t rows_ = 0, cols_ = 0;
    std::vector<double> centres_; ///< [k x cols]
    std::vector<std::int64_t> rows_chosen_;
    std::vector<double> nearest_;
    std::vector<std::int32_t> labels_;
};

} // namespace

std::unique_ptr<kmeans_engine> make_kmeans(const context&) {
    return std::make_unique<reference_kmeans>();
}

} // namespace elbo::kernels::reference
