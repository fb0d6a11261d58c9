#include "host/gmm/kmeans.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbo::gmm {

namespace {

/// Sums run over blocks of this many rows and then over the blocks, so that threads do not change their order.
constexpr std::int64_t block_rows = 1024;

double squared_distance(const double* a, const double* b, std::int64_t d) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < d; ++j)
        sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

/// Worth a parallel region.
bool large(const weighted_rows& rows) {
    return rows.rows * rows.cols > 1 << 15;
}

/// Σ w min(distance²) if row `candidate` became a centre.
double potential_with(const weighted_rows& rows, std::int64_t candidate, const std::vector<double>& nearest,
                      int threads) {
    const std::int64_t blocks = (rows.rows + block_rows - 1) / block_rows;
    std::vector<double> partial(blocks, 0);
    const double* centre = rows.row(candidate);
#pragma omp parallel for num_threads(threads) schedule(static) if (large(rows))
    for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t n = b * block_rows; n < std::min(rows.rows, (b + 1) * block_rows); ++n)
            partial[b] += rows.weights[n] * std::min(nearest[n], squared_distance(rows.row(n), centre, rows.cols));
    double sum = 0;
    for (double p : partial)
        sum += p;
    return sum;
}

void add_centre(const weighted_rows& rows, std::int64_t centre, std::vector<double>& nearest, int threads) {
    const double* c = rows.row(centre);
#pragma omp parallel for num_threads(threads) schedule(static) if (large(rows))
    for (std::int64_t n = 0; n < rows.rows; ++n)
        nearest[n] = std::min(nearest[n], squared_distance(rows.row(n), c, rows.cols));
}

/// The row at which the running sum of `mass` first exceeds u times the total; rows without mass are never chosen.
class mass_sampler {
public:
    explicit mass_sampler(const std::vector<double>& mass) : running_(mass.size()) {
        double sum = 0;
        for (std::size_t n = 0; n < mass.size(); ++n)
            running_[n] = sum += mass[n];
    }
    double total() const { return running_.back(); }
    std::int64_t draw(double u) const {
        const auto at = std::ranges::upper_bound(running_, u * total());
        return std::min<std::int64_t>(at - running_.begin(), static_cast<std::int64_t>(running_.size()) - 1);
    }

private:
    std::vector<double> running_;
};

} // namespace

std::vector<std::int64_t> kmeans_plus_plus(const weighted_rows& rows, std::int64_t k, bool greedy, std::uint64_t seed,
                                           int threads) {
    using namespace kernels;
    const int candidates = greedy ? 2 + static_cast<int>(std::log(static_cast<double>(k))) : 1;
    std::vector<double> nearest(rows.rows, std::numeric_limits<double>::infinity());
    std::vector<double> mass(rows.weights, rows.weights + rows.rows);
    std::vector<std::int64_t> chosen;
    while (static_cast<std::int64_t>(chosen.size()) < k) {
        const mass_sampler sampler(mass);
        std::int64_t best = -1;
        double best_potential = std::numeric_limits<double>::infinity();
        // The first centre is drawn by weight alone: nothing to be greedy about.
        const int tries = chosen.empty() ? 1 : candidates;
        for (int c = 0; c < tries; ++c) {
            const philox_block words = random_block(seed, random_purpose::centre_choice, chosen.size(), c);
            const std::int64_t row = sampler.draw(uniform_double(words.word[0], words.word[1]));
            const double potential = tries == 1 ? 0 : potential_with(rows, row, nearest, threads);
            if (potential < best_potential)
                best = row, best_potential = potential;
        }
        chosen.push_back(best);
        add_centre(rows, best, nearest, threads);
        double total = 0;
        for (std::int64_t n = 0; n < rows.rows; ++n)
            total += mass[n] = rows.weights[n] * nearest[n];
        // Every row coincides with a centre: choose by weight, the policy for collapsed components sorts it out.
        if (!(total > 0))
            mass.assign(rows.weights, rows.weights + rows.rows);
    }
    return chosen;
}

double nearest_centres(const weighted_rows& rows, const std::vector<double>& centres, std::vector<std::int32_t>& label,
                       int threads) {
    const auto k = static_cast<std::int64_t>(centres.size()) / rows.cols;
    const std::int64_t blocks = (rows.rows + block_rows - 1) / block_rows;
    label.resize(rows.rows);
    std::vector<double> partial(blocks, 0);
#pragma omp parallel for num_threads(threads) schedule(static) if (large(rows))
    for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t n = b * block_rows; n < std::min(rows.rows, (b + 1) * block_rows); ++n) {
            double least = std::numeric_limits<double>::infinity();
            for (std::int64_t c = 0; c < k; ++c) {
                const double distance = squared_distance(rows.row(n), &centres[c * rows.cols], rows.cols);
                if (distance < least)
                    least = distance, label[n] = static_cast<std::int32_t>(c);
            }
            partial[b] += rows.weights[n] * least;
        }
    double sum = 0;
    for (double p : partial)
        sum += p;
    return sum;
}

std::vector<std::int32_t> lloyd(const weighted_rows& rows, std::vector<double>& centres, int iterations, int threads) {
    const std::int64_t d = rows.cols, k = static_cast<std::int64_t>(centres.size()) / d;
    std::vector<std::int32_t> label, last;
    for (int t = 0; t < iterations; ++t) {
        nearest_centres(rows, centres, label, threads);
        if (label == last)
            break;
        last = label;
        std::vector<double> sums(k * d, 0), counts(k, 0);
        for (std::int64_t n = 0; n < rows.rows; ++n) {
            counts[label[n]] += rows.weights[n];
            for (std::int64_t j = 0; j < d; ++j)
                sums[label[n] * d + j] += rows.weights[n] * rows.row(n)[j];
        }
        for (std::int64_t c = 0; c < k; ++c)
            for (std::int64_t j = 0; counts[c] > 0 && j < d; ++j)
                centres[c * d + j] = sums[c * d + j] / counts[c];
    }
    return label;
}

} // namespace elbo::gmm
