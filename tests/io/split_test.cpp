// Training and validation rows of a data set: nothing lost, nothing twice, the same however the data is stored.
#include "host/io/sources.hpp"

#include "elbo/error.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

namespace {

using namespace elbo;

constexpr std::int64_t cols = 3;

std::vector<double> table(std::int64_t rows) {
    std::vector<double> values(rows * cols);
    std::iota(values.begin(), values.end(), 0.0);
    return values;
}

data_source view(const std::vector<double>& values) {
    return matrix_view<const double>(values.data(), std::ssize(values) / cols, cols);
}

// First numbers of the rows, by which a row is known.
std::vector<double> first_column(const data_source& data, std::int64_t rows_per_batch) {
    std::vector<double> keys;
    const auto reader = data.read(rows_per_batch);
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        EXPECT_TRUE(batch.rows == rows_per_batch || std::ssize(keys) + batch.rows == data.rows());
        for (std::int64_t i = 0; i < batch.rows; ++i) {
            const double key = batch.as<double>()(i, 0);
            EXPECT_EQ(batch.as<double>()(i, 2), key + 2) << "the row is not whole";
            keys.push_back(key);
        }
    }
    return keys;
}

TEST(IoSplit, GivesEveryRowToOnePart) {
    for (const std::int64_t rows : {2, 10, 99, 1000})
        for (const double fraction : {0.1, 0.5, 0.9}) {
            const std::vector<double> values = table(rows);
            const auto expected = static_cast<std::int64_t>(std::llround(fraction * static_cast<double>(rows)));
            if (expected < 1 || expected >= rows)
                continue;
            const io::data_parts parts = io::split(view(values), fraction, 7);
            EXPECT_EQ(parts.validation.rows(), expected);
            EXPECT_EQ(parts.training.rows(), rows - expected);
            std::vector<double> all = first_column(parts.training, 7);
            EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
            const std::vector<double> held_out = first_column(parts.validation, 7);
            EXPECT_EQ(std::ssize(held_out), expected);
            all.insert(all.end(), held_out.begin(), held_out.end());
            std::sort(all.begin(), all.end());
            EXPECT_EQ(all, first_column(view(values), rows)) << rows << " rows, fraction " << fraction;
        }
}

TEST(IoSplit, TakesOneRowOfEachRun) {
    const std::vector<double> values = table(1000);
    const std::vector<double> held_out = first_column(io::split(view(values), 0.1, 3).validation, 64);
    ASSERT_EQ(held_out.size(), 100u);
    for (std::size_t run = 0; run < held_out.size(); ++run)
        EXPECT_EQ(static_cast<std::size_t>(held_out[run] / cols) / 10, run);
    // Drawn, not a fixed place in the run.
    std::vector<int> places(10, 0);
    for (const double key : held_out)
        ++places[static_cast<std::size_t>(key / cols) % 10];
    EXPECT_LT(*std::max_element(places.begin(), places.end()), 30); // mean 10, standard deviation 3
}

TEST(IoSplit, DependsOnTheSeedAlone) {
    const std::vector<double> values = table(500);
    const matrix_view<const double> whole(values.data(), 500, cols);
    const data_source chunks =
        data_source::chunks({any_matrix_view(whole.slice(0, 123)), any_matrix_view(whole.slice(123, 377))});
    const std::vector<double> held_out = first_column(io::split(whole, 0.2, 5).validation, 10);
    EXPECT_EQ(held_out, first_column(io::split(chunks, 0.2, 5).validation, 33));
    EXPECT_NE(held_out, first_column(io::split(whole, 0.2, 6).validation, 10));
}

TEST(IoSplit, RefusesPartsWithoutRows) {
    const std::vector<double> values = table(10);
    for (const double fraction : {0.0, 1.0, -0.5, 0.01, 0.99, std::nan("")})
        EXPECT_THROW(io::split(view(values), fraction, 0), invalid_argument) << fraction;
}

} // namespace
