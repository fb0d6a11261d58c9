#include "host/rows/kept_moments.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Adds the rows of one unit: values x at a distance of `step` with their weights (none: all 1).
void add_unit(kept_moments& all, const kept_column& c, const double* x, std::int64_t step,
              const std::vector<double>& weights, std::int64_t rows, std::int64_t first_row) {
    const value_range kept = c.kept();
    const auto weight = [&](std::int64_t i) { return weights.empty() ? 1.0 : weights[i]; };
    double sum = 0, total = 0;
    for (std::int64_t i = 0; i < rows; ++i) {
        const double w = weight(i), value = x[i * step];
        if (!(w > 0))
            continue;
        if (!c.scale.usual.holds(value)) {
            const bool farther = std::abs(value - c.scale.median) > std::abs(all.far_value - c.scale.median);
            if (all.far_rows++ == 0 || farther)
                all.far_row = first_row + i, all.far_value = value;
        }
        if (!kept.holds(value))
            continue;
        sum += w * (value - c.scale.median);
        total += w;
        all.largest = std::max(all.largest, std::abs(value));
    }
    if (!(total > 0))
        return;
    const double mean = c.scale.median + sum / total;
    double m2 = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        if (weight(i) > 0 && kept.holds(x[i * step]))
            m2 += weight(i) * (x[i * step] - mean) * (x[i * step] - mean);
    const double both = all.weight + total, shift = mean - all.mean, share = total / both;
    all.m2 += m2 + shift * shift * all.weight * share; // Chan, Golub and LeVeque 1983
    all.mean += shift * share;
    all.weight = both;
}

} // namespace

std::vector<kept_moments> moments_of_kept(const row_feed& feed, const std::vector<kept_column>& columns) {
    const std::int64_t cols = feed.data().cols();
    std::vector<kept_moments> all(columns.size());
    feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
        for (std::int64_t begin = 0; begin < batch.x.rows; begin += unit_rows) {
            const std::int64_t rows = std::min(unit_rows, batch.x.rows - begin);
            const std::vector<double> x = feed.to_host(batch.x.slice(begin, rows));
            std::vector<double> weights;
            if (feed.weighted())
                weights = feed.scaled_weights(first_row + begin, rows);
            for (std::size_t c = 0; c < columns.size(); ++c)
                add_unit(all[c], columns[c], &x[columns[c].column], cols, weights, rows, first_row + begin);
        }
    });
    return all;
}

} // namespace elbo::gmm
