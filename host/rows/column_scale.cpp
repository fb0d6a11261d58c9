#include "host/rows/column_scale.hpp"

#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace elbo::gmm {

using namespace kernels;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// One column. All sums run over distinct values in ascending order, so that its scale is a function of the set of its
// rows alone, the same on every back end.

/// What is less than a share of the weight by rounding alone is that share.
constexpr double nearly = 1 - 0x1p-40;

/// Sorts, and joins equal values (−0 and 0 are equal).
void sort_distinct(std::vector<weighted_value>& v) {
    std::ranges::sort(v, [](const weighted_value& a, const weighted_value& b) {
        return a.value < b.value || (a.value == b.value && a.weight < b.weight);
    });
    std::size_t last = 0;
    for (std::size_t i = 1; i < v.size(); ++i)
        if (v[i].value == v[last].value)
            v[last].weight += v[i].weight;
        else
            v[++last] = v[i];
    v.resize(last + 1);
}

/// Sum of the weights of the values in a range.
double weight_in(const std::vector<weighted_value>& v, const value_range& within) {
    double sum = 0;
    for (const weighted_value& x : v)
        sum += within.holds(x.value) ? x.weight : 0;
    return sum;
}

/// The weights of the values in a range, none more than `most`; 0 outside.
std::vector<double> capped_weights(const std::vector<weighted_value>& v, const value_range& within, double most) {
    std::vector<double> c;
    c.reserve(v.size());
    for (const weighted_value& x : v)
        c.push_back(within.holds(x.value) ? std::min(x.weight, most) : 0);
    return c;
}

std::size_t median_of(const std::vector<double>& weights) {
    const double half = nearly * std::accumulate(weights.begin(), weights.end(), 0.0) / 2;
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i)
        if (sum += weights[i]; sum >= half)
            return i;
    return weights.size() - 1;
}

/// The least distance from v[centre] within which half of the weight lies, that of v[centre] counted or not.
double median_distance(const std::vector<weighted_value>& v, const std::vector<double>& weights, std::size_t centre,
                       bool with_centre) {
    const double middle = v[centre].value;
    double sum = with_centre ? weights[centre] : 0, distance = 0;
    const double half = nearly * (std::accumulate(weights.begin(), weights.end(), 0.0) - weights[centre] + sum) / 2;
    auto below = static_cast<std::int64_t>(centre) - 1;
    auto above = centre + 1;
    while (sum < half || (!with_centre && distance == 0)) {
        const double down = below >= 0 ? middle - v[below].value : infinity,
                     up = above < v.size() ? v[above].value - middle : infinity;
        if (!(std::min(down, up) < infinity))
            break;
        distance = std::min(down, up);
        sum += down <= up ? weights[below--] : weights[above++];
    }
    return distance;
}

/// Median absolute deviation; where half of the rows are at the median, that of the others.
double median_deviation(const std::vector<weighted_value>& v, const std::vector<double>& weights, std::size_t median) {
    const double all = median_distance(v, weights, median, true);
    return all > 0 ? all : median_distance(v, weights, median, false);
}

/// Weighted standard deviation of the values with positive weight.
double deviation_of(const std::vector<weighted_value>& v, const value_range& within) {
    double weight = 0, mean = 0, m2 = 0;
    for (const weighted_value& x : v)
        if (within.holds(x.value)) {
            weight += x.weight;
            const double step = x.value - mean;
            mean += step * (x.weight / weight);
            m2 += x.weight * step * (x.value - mean);
        }
    return std::sqrt(m2 / weight);
}

/// The shortest interval between values of the range that holds a tenth of its weight, the lowest of equals; without
/// end where values that many rows share leave no such interval.
value_range shortest_interval(const std::vector<weighted_value>& v, const value_range& within) {
    const double weight = weight_in(v, within), wanted = nearly * share_of_interval * weight;
    std::vector<double> before{0}; // of each value, the weight of those below it
    for (double w : capped_weights(v, within, most_of_one_value * weight))
        before.push_back(before.back() + w);
    value_range best{-infinity, infinity};
    for (std::size_t first = 0, last = 0; last < v.size(); ++last) {
        while (first < last && before[last + 1] - before[first + 1] >= wanted)
            ++first;
        if (before[last + 1] - before[first] >= wanted && v[last].value - v[first].value < best.upper - best.lower)
            best = {v[first].value, v[last].value};
    }
    return best;
}

// Rows of the sample

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

column_scale scale_of_column(std::vector<weighted_value>& values) {
    sort_distinct(values);
    const value_range all{-infinity, infinity};
    const std::vector<double> weights = capped_weights(values, all, most_of_one_value * weight_in(values, all));
    const std::size_t median = median_of(weights);
    column_scale s;
    s.median = values[median].value;
    s.spread = normal_mad * median_deviation(values, weights, median);
    s.usual = {s.median - most_robust_z * s.spread, s.median + most_robust_z * s.spread};
    if (!(s.spread > 0)) // also where all differences are subnormal: then nothing is said to be far
        return s.usual = all, s;
    const value_range shortest = shortest_interval(values, s.usual);
    if (shortest.upper - shortest.lower < narrow_interval * deviation_of(values, s.usual))
        s.narrow = shortest;
    return s;
}

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
