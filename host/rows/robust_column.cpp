// All sums run over distinct values in ascending order, so the scale of a column is a function of the set of its rows
// alone, the same on every back end.
#include "host/rows/robust_column.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace elbo::gmm {

namespace {

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

double sum_of(const std::vector<double>& v) {
    double sum = 0;
    for (double x : v)
        sum += x;
    return sum;
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
    const double half = nearly * sum_of(weights) / 2;
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i)
        if (sum += weights[i]; sum >= half)
            return i;
    return weights.size() - 1;
}

/// The least distance from v[centre] within which half of the weight lies, that of v[centre] counted or not.
double median_distance(const std::vector<weighted_value>& v, const std::vector<double>& weights, std::size_t centre,
                       bool with_centre) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const double middle = v[centre].value;
    double sum = with_centre ? weights[centre] : 0, distance = 0;
    const double half = nearly * (sum_of(weights) - weights[centre] + sum) / 2;
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
    value_range best{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    for (std::size_t first = 0, last = 0; last < v.size(); ++last) {
        while (first < last && before[last + 1] - before[first + 1] >= wanted)
            ++first;
        if (before[last + 1] - before[first] >= wanted && v[last].value - v[first].value < best.upper - best.lower)
            best = {v[first].value, v[last].value};
    }
    return best;
}

} // namespace

column_scale scale_of_column(std::vector<weighted_value>& values) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
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

} // namespace elbo::gmm
