#include "host/rows/scale_sample.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::gmm {

using namespace kernels;

namespace {

/// A key that no user's seed is meant for: the rows do not depend on the seed of a fit.
constexpr std::uint64_t scale_key = 0x5ca1e0f7c01d0b57;

/// Numbers of columns that are kept to be sorted, about, and rows of each.
constexpr std::int64_t most_values = std::int64_t(1) << 23, least_rows = 1024, most_rows = 16384;

/// Pairs of rows that are compared for each row: of a tenth of the weight in a narrow interval a pair sees 1 in 100.
constexpr std::int64_t pairs_of_row = 4;
/// A column is in doubt where this share of the pairs of different values is close on the scale of its range, or where
/// fewer than this many pairs differ at all.
constexpr double close_share = 0.02;
constexpr double least_apart = 16;
/// Close: 10 times as far apart as values within a MAD of the median can be where others are beyond 1e4 of it.
constexpr double close_to_range = 10 * 2 / (normal_mad * most_robust_z);
/// The width in question is relative to the deviation without far values, which is no larger; four times, for what a
/// sample can miss.
constexpr double close_to_deviation = 4 * narrow_interval;

double uniform(std::uint64_t i) {
    const philox_block words = random_block(scale_key, random_purpose::row_choice, i);
    return uniform_double(words.word[0], words.word[1]);
}

/// Rows of the sample, each as often as its weight says: what makes it one of equal weights. Empty where a few rows
/// have nearly all the weight, so that it would say nothing.
std::vector<std::int64_t> equal_rows(const scale_sample& s) {
    double sum = 0, squares = 0;
    const double largest = s.weights.empty() ? 0 : std::ranges::max(s.weights);
    for (double w : s.weights)
        sum += w / largest, squares += (w / largest) * (w / largest);
    std::vector<std::int64_t> rows;
    if (!(sum * sum >= squares * static_cast<double>(s.rows) / 4))
        return rows;
    double passed = 0;
    const auto count = static_cast<double>(s.rows);
    for (std::int64_t i = 0, n = 0; i < s.rows; ++i) {
        passed += s.weights[i] / largest;
        for (; n < s.rows && (static_cast<double>(n) + 0.5) * sum / count < passed; ++n)
            rows.push_back(i);
    }
    return rows;
}

/// A well mixed 64-bit word (splitmix64, Steele, Lea and Flood 2014).
std::uint64_t mixed(std::uint64_t i) {
    std::uint64_t z = (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/// How many pairs of rows have values that are different, close to each other on the scale of the range, or on that of
/// the deviation. Counted as doubles, so that columns fill vectors.
struct pair_counts {
    std::vector<double> different, close, narrow;
};

pair_counts compare_pairs(const scale_sample& s, const std::vector<std::int64_t>& rows, const data_summary& all) {
    const std::size_t d = static_cast<std::size_t>(s.cols);
    pair_counts counts{std::vector<double>(d, 0), std::vector<double>(d, 0), std::vector<double>(d, 0)};
    std::vector<double> close(d), narrow(d);
    for (std::size_t j = 0; j < d; ++j) {
        close[j] = close_to_range * (all.max[j] - all.min[j]);
        narrow[j] = close_to_deviation * std::sqrt(all.variance[j]);
    }
    const auto n = static_cast<std::uint64_t>(rows.size());
    for (std::int64_t pair = 0; pair < pairs_of_row * s.rows; ++pair) {
        const std::uint64_t word = mixed(static_cast<std::uint64_t>(pair));
        const double* a = &s.x[static_cast<std::size_t>(rows[(word >> 32) % n]) * d];
        const double* b = &s.x[static_cast<std::size_t>(rows[(word & 0xffffffff) % n]) * d];
        if (a == b)
            continue;
        for (std::size_t j = 0; j < d; ++j) {
            const double apart = std::abs(a[j] - b[j]);
            const double differs = apart > 0 ? 1 : 0;
            counts.different[j] += differs;
            counts.close[j] += apart <= close[j] ? differs : 0;
            counts.narrow[j] += apart <= narrow[j] ? differs : 0;
        }
    }
    return counts;
}

} // namespace

scale_rows::scale_rows(const row_feed& feed, std::int64_t wanted, stretches equal)
    : feed_(feed), wanted_(wanted), equal_(feed.weighted() ? equal : stretches::of_rows) {
    length_ = static_cast<double>(feed.data().rows());
    set_position();
    if (equal_ == stretches::of_rows || feed.data().rows() <= wanted)
        return;
    length_ = 0;
    for (std::int64_t first = 0; first < feed.data().rows(); first += unit_rows)
        for (double w : feed.scaled_weights(first, std::min(unit_rows, feed.data().rows() - first)))
            length_ += w;
    set_position();
}

void scale_rows::set_position() {
    const auto stretch = static_cast<double>(next_) + uniform(static_cast<std::uint64_t>(next_));
    position_ = stretch * length_ / static_cast<double>(wanted_);
}

scale_rows::batch_rows scale_rows::take(const input_rows& batch, std::int64_t first_row) {
    std::vector<double> weights;
    if (feed_.weighted())
        weights = feed_.scaled_weights(first_row, batch.x.rows);
    const auto weight = [&](std::int64_t i) { return weights.empty() ? 1 : weights[i]; };
    batch_rows chosen;
    const auto choose = [&](std::int64_t i, double counts) {
        if (!(counts > 0))
            return;
        chosen.rows.push_back(i);
        chosen.weights.push_back(counts);
    };
    const std::int64_t all = feed_.data().rows();
    if (all > wanted_ && equal_ == stretches::of_rows) {
        for (; next_ < wanted_; ++next_, set_position()) {
            const std::int64_t i = std::min(static_cast<std::int64_t>(position_), all - 1) - first_row;
            if (i >= batch.x.rows)
                break;
            choose(i, weight(i));
        }
        return chosen;
    }
    for (std::int64_t i = 0; i < batch.x.rows; ++i) {
        double times = 0;
        passed_ += weight(i);
        for (; all > wanted_ && next_ < wanted_ && position_ < passed_; ++next_, set_position())
            ++times;
        choose(i, all > wanted_ ? times : weight(i));
    }
    return chosen;
}

std::vector<std::int64_t> doubtful_columns(const scale_sample& s, const data_summary& all) {
    const std::vector<std::int64_t> rows = equal_rows(s);
    pair_counts counts;
    if (!rows.empty())
        counts = compare_pairs(s, rows, all);
    std::vector<std::int64_t> doubtful;
    for (std::size_t j = 0; j < all.mean.size(); ++j) {
        if (all.min[j] == all.max[j])
            continue;
        const bool clear = !rows.empty() && counts.different[j] >= least_apart && counts.narrow[j] == 0 &&
                           counts.close[j] <= close_share * counts.different[j];
        if (!clear)
            doubtful.push_back(static_cast<std::int64_t>(j));
    }
    return doubtful;
}

std::vector<std::vector<weighted_value>> values_of_columns(const row_feed& feed,
                                                           const std::vector<std::int64_t>& columns) {
    const auto count = static_cast<std::int64_t>(columns.size());
    const std::int64_t cols = feed.data().cols();
    scale_rows rows(feed, std::clamp(most_values / count, least_rows, most_rows), scale_rows::stretches::of_weight);
    std::vector<std::vector<weighted_value>> values(columns.size());
    feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
        const scale_rows::batch_rows chosen = rows.take(batch, first_row);
        // A few rows at a time, since all columns of them are fetched.
        const std::size_t piece = static_cast<std::size_t>(std::max<std::int64_t>(1, (std::int64_t(1) << 20) / cols));
        for (std::size_t at = 0; at < chosen.rows.size(); at += piece) {
            const auto end = std::min(chosen.rows.size(), at + piece);
            const std::vector<double> x =
                feed.gather_rows(batch.x, {chosen.rows.begin() + static_cast<std::ptrdiff_t>(at),
                                           chosen.rows.begin() + static_cast<std::ptrdiff_t>(end)});
            for (std::size_t i = at; i < end; ++i)
                for (std::int64_t c = 0; c < count; ++c)
                    values[c].push_back({x[static_cast<std::int64_t>(i - at) * cols + columns[c]], chosen.weights[i]});
        }
    });
    return values;
}

} // namespace elbo::gmm
