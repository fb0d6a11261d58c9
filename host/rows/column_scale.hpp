// Where the bulk of a column lies (docs/regularization.md), and the rows by which that is judged: which rows those are
// depends on the number of rows and their weights alone, not on batches, threads or back ends.
#pragma once

#include "host/rows/row_feed.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::gmm {

/// Values further than this from the median, in robust deviations, are left out.
constexpr double most_robust_z = 1e4;
/// 1.4826 MAD is the standard deviation of a normal column.
constexpr double normal_mad = 1.4826;
/// No value that many rows share counts for more than this share of the weight: it has no width of its own.
constexpr double most_of_one_value = 1.0 / 20;
/// A column is as wide as the shortest interval with this share of its weight ...
constexpr double share_of_interval = 1.0 / 10;
/// ... where that is so much narrower than its deviation.
constexpr double narrow_interval = 0x1p-20;

struct weighted_value {
    double value = 0, weight = 0;
};

/// What the values of a column say about its scale.
struct column_scale {
    double median = 0, spread = 0; ///< weighted, spread = 1.4826 MAD; 0 where all values are equal
    /// The values within 1e4 spreads of the median, ends included.
    value_range usual;
    /// The shortest interval with a tenth of their weight, where it is narrower than 2⁻²⁰ of their deviation.
    std::optional<value_range> narrow;
};

/// From the values of some rows with their weights > 0, in any order; sorts them. Needs values whose squared
/// differences are finite, and at least one.
column_scale scale_of_column(std::vector<weighted_value>& values);

/// One row in each of `wanted` stretches of rows of equal length, or of equal weight, drawn by Philox; all rows of
/// positive weight where there are no more than `wanted`. Batches are to come in order.
class scale_rows {
public:
    enum class stretches { of_rows, of_weight };
    scale_rows(const row_feed& feed, std::int64_t wanted, stretches equal);

    /// Rows of the next batch, ascending, and how much each counts: its weight (times feed.weight_scale()), or with
    /// stretches of weight how many of them it was drawn for.
    struct batch_rows {
        std::vector<std::int64_t> rows;
        std::vector<double> weights;
    };
    batch_rows take(const kernels::input_rows& batch, std::int64_t first_row);

private:
    void set_position();

    const row_feed& feed_;
    std::int64_t wanted_;
    stretches equal_;
    double length_ = 0;     ///< of all stretches together
    std::int64_t next_ = 0; ///< stretch
    double position_ = 0;   ///< drawn in it
    double passed_ = 0;     ///< weight of the rows so far
};

/// A sample of rows, float64 on the host.
struct scale_sample {
    std::int64_t rows = 0, cols = 0;
    std::vector<double> x;       ///< [rows x cols]
    std::vector<double> weights; ///< [rows]
};

/// The columns that may have far values or a narrow interval: few that have none, and nearly surely all that have.
/// Compares pairs of rows, so that it costs a fraction of a pass over the data.
std::vector<std::int64_t> doubtful_columns(const scale_sample& s, const data_summary& all);

/// One pass: the values of these columns in (a sample of) the rows, [column][row].
std::vector<std::vector<weighted_value>> values_of_columns(const row_feed& feed,
                                                           const std::vector<std::int64_t>& columns);

} // namespace elbo::gmm
