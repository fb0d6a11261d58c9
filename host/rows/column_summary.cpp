#include "host/rows/column_summary.hpp"

#include "host/check.hpp"
#include "host/rows/column_scale.hpp"
#include "host/rows/row_access.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// Rows that decide which columns are in doubt: so few of them that it costs next to nothing beside a fit.
std::int64_t sample_rows(std::int64_t rows) {
    return std::clamp<std::int64_t>(rows / 8, 128, 512);
}

/// Of no more numbers than this all columns are in doubt: they are sorted at no cost.
bool has_few_values(std::int64_t rows, std::int64_t dimensions) {
    return rows * dimensions <= 4096;
}

/// The default λ is 1e-6 of the regular variance, and at least the square of this many units in the last place.
constexpr double roundings = 8, shares = 1e6;

/// Of the distance R to the farthest value: what the fixed-point sums of a fit (relative to R², 2⁻¹²⁶) can hold beside
/// it, as the scale of the frame and as a deviation.
constexpr double least_scale = 0x1p-40, least_deviation = 0x1p-50;

/// Squares of deviations are normal numbers between these.
constexpr double smallest_deviation = 1e-150, largest_deviation = 1e150;

/// A unit in the last place of numbers of size x.
double ulp(double x, element_type type) {
    if (!(x > 0))
        return 0;
    int exponent = 0;
    std::frexp(x, &exponent); // x = m 2^exponent with 1/2 ≤ m < 1
    return std::ldexp(1.0, exponent - (type == element_type::float32 ? 24 : 53));
}

double square(double x) {
    return x * x;
}

/// Throws invalid_argument for a column whose squared deviations are not normal numbers, with the factor that helps.
void check_deviation(const row_feed& feed, const data_summary& all, std::int64_t j) {
    const double range = all.max[j] / 2 - all.min[j] / 2; // not of twice the largest number
    const double deviation = std::isfinite(all.variance[j]) && all.variance[j] > 0 ? std::sqrt(all.variance[j]) : range;
    if (all.min[j] == all.max[j] || (deviation >= smallest_deviation && deviation <= largest_deviation &&
                                     std::isfinite(all.variance[j]) && all.variance[j] > 0))
        return;
    // Of the factor, which is to be a number itself: that of the smallest deviations, or of one that is 0, is not.
    constexpr double most_power = 300;
    const auto power = static_cast<int>(std::clamp(std::round(std::log10(deviation)), -most_power, most_power));
    const double value = std::abs(all.min[j]) > std::abs(all.max[j]) ? all.min[j] : all.max[j];
    throw invalid_argument(fmt::format(
        "{}: column {} has a deviation of {:.3g} (row {} is {:.3g}): expected {:.0e} to {:.0e}, so that its square is "
        "a number; multiply the column by 1e{}, or give that row the weight 0 if it stands for a missing value",
        feed.data().description(), column_label(feed.data(), j), deviation, feed.find_row(j, value), value,
        smallest_deviation, largest_deviation, -power));
}

/// A column of which something is left out.
struct kept_column {
    std::int64_t column = 0;
    column_scale scale;
    value_range kept() const { return scale.narrow.value_or(scale.usual); }
};

/// Weighted moments of the values in kept(), and which values lie outside the usual range.
struct kept_moments {
    double weight = 0, mean = 0, m2 = 0; ///< m2 = Σ w (x − mean)²
    double largest = 0;                  ///< max |x|
    std::int64_t far_rows = 0, far_row = -1;
    double far_value = 0; ///< the one farthest from the median, in row far_row
};

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

/// One pass over the rows on the host. Sums run in the order of the rows within units and in the order of the units, so
/// they have the same bits for any batches and on every back end.
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

std::vector<kept_column> left_out(const row_feed& feed, const data_summary& all,
                                  const std::vector<std::int64_t>& columns) {
    std::vector<kept_column> found;
    auto values = values_of_columns(feed, columns);
    for (std::size_t c = 0; c < columns.size(); ++c) {
        const std::int64_t j = columns[c];
        const kept_column k{j, scale_of_column(values[c])};
        values[c] = {};
        if (k.scale.narrow || !k.scale.usual.holds(all.min[j]) || !k.scale.usual.holds(all.max[j]))
            found.push_back(k);
    }
    return found;
}

/// Mean, variance and λ's variance of a column without what is left out.
void take_kept(data_summary& all, const kept_column& c, const kept_moments& m, element_type type) {
    const std::int64_t j = c.column;
    all.mean[j] = m.mean;
    const double farthest = std::max(all.max[j] - m.mean, m.mean - all.min[j]), variance = m.m2 / m.weight;
    all.variance[j] = std::max(variance, square(least_scale * farthest));
    all.regular_variance[j] = std::max(
        {variance, shares * square(roundings * ulp(m.largest, type)), shares * square(least_deviation * farthest)});
    if (m.far_rows == 0)
        return;
    event e{0, -1, event::kind::far_value};
    e.far = {m.far_row, j, m.far_value, std::abs(m.far_value - c.scale.median) / c.scale.spread, m.far_rows};
    all.far.push_back(e);
    if (all.usual.empty())
        all.usual.assign(all.mean.size(),
                         {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()});
    all.usual[j] = c.scale.usual;
}

} // namespace

std::int64_t summary_bytes(std::int64_t rows, std::int64_t dimensions) {
    return has_few_values(rows, dimensions) ? 0 : 8 * std::min(rows, sample_rows(rows)) * (dimensions + 1);
}

data_summary summarize_columns(row_feed& feed, gmm_engine& engine) {
    const std::int64_t d = feed.data().cols();
    const element_type type = feed.data().type();
    scale_rows rows(feed, sample_rows(feed.data().rows()), scale_rows::stretches::of_rows);
    scale_sample sample{0, d, {}, {}};
    const bool few = has_few_values(feed.data().rows(), d);
    data_summary all = feed.summarize(engine, [&](const input_rows& batch, std::int64_t first_row) {
        if (few)
            return;
        const scale_rows::batch_rows chosen = rows.take(batch, first_row);
        const std::vector<double> x = feed.gather_rows(batch.x, chosen.rows);
        sample.x.insert(sample.x.end(), x.begin(), x.end());
        sample.weights.insert(sample.weights.end(), chosen.weights.begin(), chosen.weights.end());
        sample.rows += std::ssize(chosen.rows);
    });
    for (std::int64_t j = 0; j < d; ++j) {
        check_deviation(feed, all, j);
        const double largest = std::max(std::abs(all.min[j]), std::abs(all.max[j]));
        all.regular_variance.push_back(
            all.variance[j] > 0 ? std::max(all.variance[j], shares * square(roundings * ulp(largest, type))) : 0);
    }
    std::vector<std::int64_t> doubtful(d);
    std::iota(doubtful.begin(), doubtful.end(), 0);
    if (few)
        std::erase_if(doubtful, [&](std::int64_t j) { return all.min[j] == all.max[j]; });
    else
        doubtful = doubtful_columns(sample, all);
    if (doubtful.empty())
        return all;
    const std::vector<kept_column> columns = left_out(feed, all, doubtful);
    if (columns.empty())
        return all;
    all.left_out = true;
    const std::vector<kept_moments> moments = moments_of_kept(feed, columns);
    for (std::size_t c = 0; c < columns.size(); ++c)
        take_kept(all, columns[c], moments[c], type);
    return all;
}

} // namespace elbo::gmm
