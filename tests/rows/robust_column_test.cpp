// Which columns are looked at, and the scale of one column against a plain reading of docs/regularization.md: every sum
// and every pair of values written out, in long double.
#include "host/rows/column_scale.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace elbo::gmm {
namespace {

using real = long double;
using column = std::vector<weighted_value>;

/// Weight of each value, none more than a twentieth of the whole.
std::map<double, real> capped(const column& v, const value_range& within) {
    std::map<double, real> weights;
    real total = 0;
    for (const weighted_value& x : v)
        if (within.holds(x.value))
            weights[x.value] += x.weight, total += x.weight;
    for (auto& [value, weight] : weights)
        weight = std::min(weight, total / 20);
    return weights;
}

/// The least value with half of the weight at or below it.
double weighted_median(const std::map<double, real>& weights) {
    real total = 0, sum = 0;
    for (const auto& [value, weight] : weights)
        total += weight;
    for (const auto& [value, weight] : weights)
        if (sum += weight; sum >= total / 2 * (1 - 0x1p-40L))
            return value;
    return 0;
}

column_scale plain_scale(const column& v) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::map<double, real> weights = capped(v, {-infinity, infinity});
    column_scale s;
    s.median = weighted_median(weights);
    std::map<double, real> distances;
    for (const auto& [value, weight] : weights)
        distances[std::abs(value - s.median)] += weight;
    double mad = weighted_median(distances);
    if (mad == 0) {
        distances.erase(0);
        mad = distances.empty() ? 0 : weighted_median(distances);
    }
    s.spread = 1.4826 * mad;
    s.usual =
        mad > 0 ? value_range{s.median - 1e4 * s.spread, s.median + 1e4 * s.spread} : value_range{-infinity, infinity};
    const std::map<double, real> kept = capped(v, s.usual);
    real total = 0, mean = 0, m2 = 0;
    for (const weighted_value& x : v)
        if (s.usual.holds(x.value))
            total += x.weight, mean += real(x.weight) * x.value;
    mean /= total;
    for (const weighted_value& x : v)
        if (s.usual.holds(x.value))
            m2 += x.weight * (x.value - mean) * (x.value - mean);
    value_range best{-infinity, infinity};
    for (auto first = kept.begin(); first != kept.end(); ++first) {
        real sum = 0;
        for (auto last = first; last != kept.end(); ++last)
            if (sum += last->second; sum >= total / 10 * (1 - 0x1p-40L)) {
                if (last->first - first->first < best.upper - best.lower)
                    best = {first->first, last->first};
                break;
            }
    }
    if (mad > 0 && best.upper - best.lower < std::ldexp(std::sqrt(m2 / total), -20))
        s.narrow = best;
    return s;
}

void expect_as_plain(const column& v) {
    column sorted = v;
    const column_scale found = scale_of_column(sorted), plain = plain_scale(v);
    EXPECT_EQ(found.median, plain.median);
    EXPECT_DOUBLE_EQ(found.spread, plain.spread);
    EXPECT_DOUBLE_EQ(found.usual.lower, plain.usual.lower);
    EXPECT_DOUBLE_EQ(found.usual.upper, plain.usual.upper);
    ASSERT_EQ(found.narrow.has_value(), plain.narrow.has_value());
    if (plain.narrow) {
        EXPECT_EQ(found.narrow->lower, plain.narrow->lower);
        EXPECT_EQ(found.narrow->upper, plain.narrow->upper);
    }
    column backwards(v.rbegin(), v.rend());
    const column_scale again = scale_of_column(backwards);
    EXPECT_EQ(again.median, found.median);
    EXPECT_EQ(again.spread, found.spread) << "depends on the order of the rows";
}

double shape(int kind, std::uint64_t seed, std::int64_t i) {
    const double z = test::normal(seed, i), u = test::uniform(seed, i);
    switch (kind) {
    case 0:
        return z;
    case 1:
        return 1e8 + z;
    case 2:
        return std::floor(16 * u); // whole numbers
    case 3:
        return u < 0.6 ? 0 : z; // most are zero
    case 4:
        return u < 0.98 ? 0 : std::floor(10 * z);
    case 5:
        return u < 0.5 ? z : 1e12 + 1e12 * z; // half narrow
    case 6:
        return u < 0.15 ? 5 + z : 1e9 * z; // a narrow part that is not the median
    case 7:
        return std::exp(6 * z);
    case 8:
        return u < 0.01 ? -99999 : z;
    case 9:
        return u < 0.02 ? 1e100 : 1e-3 * z;
    default:
        return i % 7 == 3 ? 7 : 8; // two values
    }
}

TEST(GmmRobustColumn, IsThePlainDefinitionForManyShapesAndWeights) {
    for (int kind = 0; kind <= 10; ++kind)
        for (std::int64_t rows : {1, 2, 3, 9, 10, 11, 20, 21, 31, 32, 33, 300, 1001})
            for (int weights = 0; weights < 3; ++weights) {
                SCOPED_TRACE(testing::Message() << "kind " << kind << ", rows " << rows << ", weights " << weights);
                column v;
                for (std::int64_t i = 0; i < rows; ++i) {
                    const double w = weights == 0   ? 1
                                     : weights == 1 ? 1 + std::floor(8 * test::uniform(9, i))
                                                    : std::exp2(std::floor(60 * test::uniform(9, i)) - 30);
                    v.push_back({shape(kind, 3 + kind, i), w});
                }
                expect_as_plain(v);
            }
}

TEST(GmmRobustColumn, LeavesOutASentinelAndKeepsItsNeighboursSpread) {
    column v;
    for (int i = 0; i < 300; ++i)
        v.push_back({test::normal(1, i), 1});
    column plain = v, with = v;
    with.push_back({99999, 1});
    const column_scale a = scale_of_column(plain), b = scale_of_column(with);
    EXPECT_NEAR(b.spread, a.spread, 0.05 * a.spread);
    EXPECT_FALSE(b.usual.holds(99999));
    EXPECT_TRUE(b.usual.holds(9999));
    EXPECT_FALSE(b.narrow);
}

TEST(GmmRobustColumn, TakesNoWidthFromValuesThatManyRowsShare) {
    column v; // 2 of 5 are zero, and one more is next to it: that pair says nothing about the others
    for (int i = 0; i < 200; ++i)
        v.push_back({i < 80 ? 0.0 : i == 80 ? 1e-9 : test::normal(2, i), 1});
    const column_scale s = scale_of_column(v);
    EXPECT_FALSE(s.narrow);
    EXPECT_GT(s.spread, 0.5);
    EXPECT_LT(s.spread, 2);
}

TEST(GmmRobustColumn, HasNoSpreadWhereAllValuesAreEqual) {
    column v(50, {7, 1});
    const column_scale s = scale_of_column(v);
    EXPECT_EQ(s.median, 7);
    EXPECT_EQ(s.spread, 0);
    EXPECT_TRUE(s.usual.holds(1e300));
    EXPECT_FALSE(s.narrow);
}

/// A sample with one column for each of these kinds, and the summary of its rows.
struct sampled {
    scale_sample sample;
    data_summary all;
};
sampled sample_of(const std::vector<int>& kinds, std::uint64_t seed) {
    const auto d = static_cast<std::int64_t>(kinds.size());
    sampled s{{512, d, {}, std::vector<double>(512, 1)}, {}};
    for (std::int64_t i = 0; i < 512; ++i)
        for (int kind : kinds)
            s.sample.x.push_back(shape(kind, seed + static_cast<std::uint64_t>(kind), i));
    for (std::int64_t j = 0; j < d; ++j) {
        double sum = 0, squares = 0, low = s.sample.x[j], high = low;
        for (std::int64_t i = 0; i < 512; ++i) {
            const double x = s.sample.x[i * d + j];
            sum += x, low = std::min(low, x), high = std::max(high, x);
        }
        for (std::int64_t i = 0; i < 512; ++i)
            squares += std::pow(s.sample.x[i * d + j] - sum / 512, 2);
        s.all.mean.push_back(sum / 512), s.all.variance.push_back(squares / 512);
        s.all.min.push_back(low), s.all.max.push_back(high);
    }
    return s;
}

TEST(GmmScaleSample, LooksAgainAtColumnsThatMayHaveFarValuesAndAtFewOthers) {
    for (std::uint64_t seed : {11, 200, 3000}) {
        SCOPED_TRACE(seed);
        const sampled ordinary = sample_of({0, 1, 2, 3, 10}, seed);
        EXPECT_TRUE(doubtful_columns(ordinary.sample, ordinary.all).empty());
        const sampled odd = sample_of({5, 6, 8, 9}, seed);
        EXPECT_EQ(doubtful_columns(odd.sample, odd.all), (std::vector<std::int64_t>{0, 1, 2, 3}));
        sampled outside = ordinary; // a sentinel that is not in the sample
        for (double& high : outside.all.max)
            high += 1e6;
        EXPECT_EQ(std::ssize(doubtful_columns(outside.sample, outside.all)), 5);
        sampled uneven = ordinary; // one row has nearly all the weight: the sample says nothing
        uneven.sample.weights[3] = 1e9;
        EXPECT_EQ(std::ssize(doubtful_columns(uneven.sample, uneven.all)), 5);
        sampled constant = ordinary;
        constant.all.min = constant.all.max;
        EXPECT_TRUE(doubtful_columns(constant.sample, constant.all).empty());
    }
}

} // namespace
} // namespace elbo::gmm
