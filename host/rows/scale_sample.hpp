// The rows by which the scale of the columns is judged: which rows those are depends on the number of rows and their
// weights alone, not on batches, threads or back ends.
#pragma once

#include "host/rows/robust_column.hpp"
#include "host/rows/row_feed.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

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
