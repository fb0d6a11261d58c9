// The way from a data_source with weights to an engine: batches of whole units, in memory that the engine can read.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <functional>
#include <limits>
#include <memory>
#include <string_view>

namespace elbo::gmm {

struct value_range {
    double lower = 0, upper = 0;
    bool holds(double x) const { return x >= lower && x <= upper; }
};

/// Moments of all rows, merged from the units in their order, so independent of the batches.
struct data_summary {
    std::int64_t rows = 0, positive_rows = 0;
    double weight = 0; ///< Σ w_n
    double largest_weight = 0;
    std::vector<double> mean, variance; ///< [d] weighted; 0 is the variance of columns with min = max and of no others
    std::vector<double> min, max;       ///< [d] over rows of positive weight
    std::vector<std::int64_t> labelled; ///< [k] rows known to come from each component; empty without labels
    /// Set by summarize_columns(), which also makes mean and variance those of the rows that are not left out:
    bool left_out = false;                ///< something was left out of some column
    std::vector<double> regular_variance; ///< [d] what λ is a share of; 0 where min = max
    std::vector<value_range> usual;       ///< [d] values that are not far; empty where none are
    std::vector<event> far;               ///< of kind far_value, by column
};

/// In which units weights reach an engine.
enum class weight_units {
    of_largest, ///< times the power of two that makes the largest 1 to 2; those that are too small to count are 0
    as_given    ///< where sums that were taken apart from each other shall merge
};

/// When a batch is read: while the one before is worked on, or when it is asked for.
enum class reading { ahead, in_turn };

/// Rows of a streamed batch: about 16 MB, whole units; so much is copied to a device while it works on the batch
/// before.
std::int64_t streamed_batch_rows(std::int64_t columns, element_type type);

class row_feed {
public:
    /// Checks that weights and labels match the rows, and every weight. Throws invalid_argument.
    row_feed(const context& ctx, const data_source& data, const sample_weights& weights,
             const sample_labels& labels = {}, std::int64_t components = 0,
             weight_units units = weight_units::of_largest);

    const data_source& data() const { return data_; }
    bool weighted() const { return !weights_.empty(); }
    /// What kind of labels the rows have.
    sample_labels::kind known() const { return labels_.what(); }
    /// Rows of a batch: all of them where the data is one piece of memory, else a few units.
    std::int64_t batch_rows() const { return batch_rows_; }
    /// From now on in batches of a few units, no more than `most_rows` but for one unit, also where the data is one
    /// piece.
    void stream(std::int64_t most_rows = std::numeric_limits<std::int64_t>::max());
    /// Power of two by which weights are multiplied on load: the largest becomes 1 to 2, or as much as a power that
    /// float64 holds makes of it.
    double weight_scale() const { return weight_scale_; }
    /// The power of two that the largest weight comes to by it: 1, or less where no power of float64 makes it 1.
    double weight_unit() const { return weight_unit_; }
    const negligible_weights& negligible() const { return negligible_; }
    /// Weights of the rows first ... first + count − 1 times weight_scale().
    std::vector<double> scaled_weights(std::int64_t first, std::int64_t count) const;

    using visitor = std::function<void(const kernels::input_rows&, std::int64_t first_row)>;
    /// Calls visit(rows, first_row) for each batch in order. While it runs, a thread reads the next batch of a file or
    /// generator; `in_turn` where the visit itself may use files or code of the user's.
    void for_each(reading when, const visitor& visit) const;
    void for_each(const visitor& visit) const { for_each(reading::ahead, visit); }
    /// One pass: checks every value and label. Throws invalid_argument that names row and column. Then `also` sees each
    /// batch.
    data_summary summarize(kernels::gmm_engine& engine, const visitor& also = {});
    /// The first row of positive weight with this value in a column, −1 where there is none. For messages: one pass.
    std::int64_t find_row(std::int64_t column, double value) const;
    /// Throws invalid_argument unless at least `wanted` rows of positive weight are distinct; reads no further than
    /// needed.
    void require_distinct_rows(std::int64_t wanted) const;
    /// For each row of a batch the one component that it may come from, by its label; −1 where there are several.
    /// Throws as summarize().
    std::vector<std::int32_t> known_components(const kernels::input_rows& batch, std::int64_t first_row) const;
    /// A batch as float64 on the host, row-major without gaps.
    std::vector<double> to_host(const any_matrix_view& view) const;
    /// Some rows of a batch, indices ascending, the same way.
    std::vector<double> gather_rows(const any_matrix_view& view, const std::vector<std::int64_t>& rows) const;

private:
    std::unique_ptr<batch_reader> open(reading when) const;
    void survey_weights(weight_units units);
    const context& ctx_;
    const data_source& data_;
    sample_weights weights_;
    sample_labels labels_;
    std::int64_t components_ = 0; ///< that the labels are about
    std::int64_t batch_rows_ = 0;
    double weight_scale_ = 1, weight_unit_ = 1;
    negligible_weights negligible_;
};

/// Throws invalid_argument unless there is one label, or one factor for each component, for each of the rows of `data`.
void check_label_shape(const sample_labels& labels, std::int64_t rows, std::int64_t components, std::string_view data);

/// Of row first_row + n, with the label or the factors in row n of a matrix in host memory: the one component that it
/// may come from; −1 where there are several. Throws invalid_argument that names the row: a label that is not a whole
/// number from −1 to k − 1, a factor that is negative or not finite, a row of factors that are all 0.
std::int32_t known_component(sample_labels::kind kind, const any_matrix_view& values, std::int64_t n,
                             std::int64_t components, std::int64_t first_row);

/// The engine of a context. `automatic` precision follows the data.
std::unique_ptr<kernels::gmm_engine> make_engine(const context& ctx, const kernels::gmm_shape& shape,
                                                 compute_precision precision, element_type data);

/// An engine for the moments of columns and for checks of values, which are the same work for every model.
std::unique_ptr<kernels::gmm_engine> make_moments_engine(const context& ctx, std::int64_t dimensions,
                                                         element_type type);

} // namespace elbo::gmm
