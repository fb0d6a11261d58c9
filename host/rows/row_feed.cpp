#include "host/rows/row_feed.hpp"

#include "host/check.hpp"
#include "host/io/sources.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/contract/backend_table.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <unordered_set>

namespace elbo::gmm {

using kernels::input_rows;
using kernels::unit_rows;

namespace {

/// Powers of two that float64 holds end at 2¹⁰²³; with this one the smallest weight, 2⁻¹⁰⁷⁴, becomes 2⁻⁵².
constexpr int largest_scale = 1022;
/// Totals such as W log p are 2²³ times as large at most.
constexpr double largest_weight_sum = 0x1p1000;
/// Of the sum of all weights: what negligible_weights says. The normalised numbers of rows that count are at most the
/// root of its inverse, 2³⁶, since their variance is 1, so their squares fit into the fixed-point sums.
constexpr double negligible_share = 0x1p-72;

/// Adds the moments of the next unit (Chan, Golub and LeVeque 1983, weighted).
void merge(data_summary& all, const kernels::unit_summary& unit) {
    all.positive_rows += static_cast<std::int64_t>(unit.positive);
    all.largest_weight = std::max(all.largest_weight, unit.largest_weight);
    if (!(unit.weight > 0))
        return;
    const double total = all.weight + unit.weight;
    const double share = unit.weight / total;
    for (std::size_t j = 0; j < all.mean.size(); ++j) {
        const double step = unit.mean[j] - all.mean[j];
        all.mean[j] += step * share;
        all.variance[j] += unit.m2[j] + step * step * all.weight * share; // Σ w (x − mean)² until the end
        all.min[j] = std::min(all.min[j], unit.min[j]);
        all.max[j] = std::max(all.max[j], unit.max[j]);
    }
    all.weight = total;
}

std::int32_t known_by_label(double label, std::int64_t components, std::int64_t row) {
    expects(label >= -1 && label < static_cast<double>(components) && label == std::floor(label), [&] {
        return fmt::format("labels[{}] = {}: expected a whole number, from 0 to {}, or -1 where unknown", row, label,
                           components - 1);
    });
    return static_cast<std::int32_t>(label);
}

std::int32_t known_by_factors(const any_matrix_view& factors, std::int64_t n, std::int64_t components,
                              std::int64_t row) {
    std::int64_t positive = 0, last = -1;
    for (std::int64_t k = 0; k < components; ++k) {
        const double factor = io::element(factors, n, k);
        expects(factor >= 0 && std::isfinite(factor), [&] {
            return fmt::format("labels[{}][{}] = {}: expected a finite factor, at least 0", row, k, factor);
        });
        if (factor > 0)
            last = k, ++positive;
    }
    expects(positive > 0, [&] {
        return fmt::format("labels[{}] is 0 for all {} components: expected a positive factor for at least one", row,
                           components);
    });
    return static_cast<std::int32_t>(positive == 1 ? last : -1);
}

} // namespace

void check_label_shape(const sample_labels& labels, std::int64_t rows, std::int64_t components, std::string_view data) {
    const any_matrix_view& v = labels.values();
    const std::int64_t cols = labels.what() == sample_labels::kind::labels ? 1 : components;
    expects(v.rows == rows && v.cols == cols, [&] {
        return fmt::format(
            "labels has {} x {} numbers: expected {} x {}, {} for each of the rows of {}", v.rows, v.cols, rows, cols,
            labels.what() == sample_labels::kind::labels ? "a label" : "a factor of each component", data);
    });
}

std::int32_t known_component(sample_labels::kind kind, const any_matrix_view& values, std::int64_t n,
                             std::int64_t components, std::int64_t first_row) {
    return kind == sample_labels::kind::labels ? known_by_label(io::element(values, n, 0), components, first_row + n)
                                               : known_by_factors(values, n, components, first_row + n);
}

std::int64_t streamed_batch_rows(std::int64_t columns, element_type type) {
    const std::int64_t row_bytes = std::max<std::int64_t>(1, columns) * (type == element_type::float32 ? 4 : 8);
    return std::max<std::int64_t>(1, (std::int64_t(16) << 20) / (row_bytes * unit_rows)) * unit_rows;
}

row_feed::row_feed(const context& ctx, const data_source& data, const sample_weights& weights,
                   const sample_labels& labels, std::int64_t components, weight_units units)
    : ctx_(ctx), data_(data), weights_(weights), labels_(labels), components_(components) {
    expects(data.rows() >= 1, [&] { return fmt::format("{} has no rows: expected at least one", data.description()); });
    expects(data.cols() >= 1,
            [&] { return fmt::format("{} has no columns: expected at least one", data.description()); });
    if (weighted())
        expects(weights_.values.rows == data.rows() && weights_.values.cols == 1, [&] {
            return fmt::format("weights has {} x {} numbers: expected one for each of the {} rows of {}",
                               weights_.values.rows, weights_.values.cols, data.rows(), data.description());
        });
    for (const auto& queue : {weights_.after, labels_.after})
        if (queue)
            queue->wait();
    if (!labels_.empty())
        check_label_shape(labels_, data.rows(), components, data.description());
    if (weighted())
        survey_weights(units);
    const std::int64_t all = (data.rows() + unit_rows - 1) / unit_rows * unit_rows;
    const bool one_piece =
        data.contiguous() && (ctx.memory() == memory_space::device || data.space() != memory_space::device);
    batch_rows_ = one_piece ? all : std::min(all, streamed_batch_rows(data.cols(), data.type()));
}

void row_feed::stream(std::int64_t most_rows) {
    const std::int64_t most_units = std::max<std::int64_t>(1, most_rows / unit_rows);
    batch_rows_ = std::min({batch_rows_, streamed_batch_rows(data_.cols(), data_.type()), most_units * unit_rows});
}

std::unique_ptr<batch_reader> row_feed::open(reading when) const {
    auto reader = data_.read(batch_rows_);
    const bool one_matrix = data_.contiguous().has_value(); // there is nothing to be read
    // Pinned rows go to a device from where they are; a copy of them would be in ordinary memory.
    if (when == reading::in_turn || one_matrix || data_.space() != memory_space::host || batch_rows_ >= data_.rows())
        return reader;
    return io::read_ahead(std::move(reader));
}

void row_feed::for_each(reading when, const visitor& visit) const {
    std::vector<char> x_staging, weight_staging, label_staging;
    std::int64_t first = 0;
    const auto reader = open(when);
    for (;;) {
        const any_matrix_view batch = reader->next();
        if (batch.rows == 0)
            return;
        input_rows rows;
        rows.x = readable(ctx_, batch, x_staging);
        if (weighted())
            rows.weights = readable(ctx_, weights_.values.slice(first, batch.rows), weight_staging);
        rows.weight_scale = weight_scale_;
        rows.label_kind = labels_.what();
        if (!labels_.empty())
            rows.labels = readable(ctx_, labels_.values().slice(first, batch.rows), label_staging);
        visit(rows, first);
        first += batch.rows;
    }
}

/// Finds the scale of the weights, and rows that cannot count, in passes over the weights alone. Those rows get the
/// weight 0 in a copy, made where there are some.
void row_feed::survey_weights(weight_units units) {
    constexpr std::int64_t piece = std::int64_t(1) << 16;
    const std::int64_t rows = weights_.values.rows;
    const auto for_each_weight = [&](const auto& visit) {
        for (std::int64_t first = 0; first < rows; first += piece) {
            const std::vector<double> some = to_host(weights_.values.slice(first, std::min(piece, rows - first)));
            for (std::size_t i = 0; i < some.size(); ++i)
                visit(first + static_cast<std::int64_t>(i), some[i]);
        }
    };
    double largest = 0, smallest = std::numeric_limits<double>::infinity(); // of those above 0
    for_each_weight([&](std::int64_t row, double w) {
        expects(w >= 0 && std::isfinite(w),
                [&] { return fmt::format("weights[{}] = {}: expected a finite number, at least 0", row, w); });
        largest = std::max(largest, w);
        if (w > 0)
            smallest = std::min(smallest, w);
    });
    expects(largest > 0, "weights are all 0: expected at least one positive weight");
    weight_scale_ = std::ldexp(1.0, std::min(-std::ilogb(largest), largest_scale));
    weight_unit_ = std::ldexp(1.0, std::ilogb(largest * weight_scale_));
    double sum = 0;
    for_each_weight([&](std::int64_t, double w) { sum += w * weight_scale_; });
    expects(sum <= largest_weight_sum * weight_scale_, [&] {
        return fmt::format("weights, of which the largest is {:.3g}, sum to more than {:.3g}: expected less, so that "
                           "totals are finite numbers; divide all of them by one number, which changes no estimate",
                           largest, largest_weight_sum);
    });
    const double least = units == weight_units::of_largest ? negligible_share * sum : 0;
    if (smallest * weight_scale_ >= least)
        return;
    auto counting = std::vector<double>();
    counting.reserve(static_cast<std::size_t>(rows));
    for_each_weight([&](std::int64_t row, double w) {
        const bool counts = w * weight_scale_ >= least;
        counting.push_back(counts ? w : 0);
        if (counts || w == 0)
            return;
        if (negligible_.rows++ == 0)
            negligible_.first = row;
    });
    weights_ = sample_weights(std::move(counting));
}

std::vector<double> row_feed::scaled_weights(std::int64_t first, std::int64_t count) const {
    std::vector<double> weights = to_host(weights_.values.slice(first, count));
    for (double& w : weights)
        w *= weight_scale_;
    return weights;
}

std::vector<double> row_feed::to_host(const any_matrix_view& view) const {
    std::vector<char> staging;
    const any_matrix_view host = on_host(view, staging);
    std::vector<double> values(view.rows * view.cols);
    for (std::int64_t i = 0; i < view.rows; ++i)
        for (std::int64_t j = 0; j < view.cols; ++j)
            values[i * view.cols + j] = io::element(host, i, j);
    return values;
}

std::vector<double> row_feed::gather_rows(const any_matrix_view& view, const std::vector<std::int64_t>& rows) const {
    std::vector<double> values;
    values.reserve(rows.size() * view.cols);
    // From a device, rows that lie close together are copied in one piece.
    const std::int64_t reach = view.space == memory_space::device ? 256 : 1;
    for (std::size_t at = 0; at < rows.size();) {
        std::size_t end = at + 1;
        while (end < rows.size() && rows[end] - rows[at] < unit_rows && rows[end] - rows[end - 1] <= reach)
            ++end;
        const std::vector<double> piece = to_host(view.slice(rows[at], rows[end - 1] - rows[at] + 1));
        for (; at < end; ++at) {
            const auto from = piece.end() - (rows[end - 1] - rows[at] + 1) * view.cols;
            values.insert(values.end(), from, from + view.cols);
        }
    }
    return values;
}

std::vector<std::int32_t> row_feed::known_components(const input_rows& batch, std::int64_t first_row) const {
    std::vector<std::int32_t> all;
    std::vector<char> staging;
    for (std::int64_t begin = 0; begin < batch.x.rows; begin += unit_rows) { // a device's in pieces
        const std::int64_t rows = std::min(unit_rows, batch.x.rows - begin);
        const any_matrix_view piece = on_host(batch.labels.slice(begin, rows), staging);
        for (std::int64_t n = 0; n < rows; ++n)
            all.push_back(known_component(labels_.what(), piece, n, components_, first_row + begin));
    }
    return all;
}

data_summary row_feed::summarize(kernels::gmm_engine& engine, const visitor& also) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const std::int64_t d = data_.cols();
    data_summary all;
    all.mean.assign(d, 0), all.variance.assign(d, 0), all.min.assign(d, infinity), all.max.assign(d, -infinity);
    all.labelled.assign(labels_.empty() ? 0 : components_, 0);
    kernels::unit_summaries units;
    for_each([&](const input_rows& batch, std::int64_t first_row) {
        const std::int64_t bad = engine.summarize(batch, units);
        if (bad >= 0) {
            const std::int64_t i = bad / d, j = bad % d;
            throw invalid_argument(fmt::format("{}: row {}, column {} is {}: expected finite numbers",
                                               data_.description(), first_row + i, column_label(data_, j),
                                               to_host(batch.x.slice(i, 1))[j]));
        }
        for (std::int64_t u = 0; u < units.size(); ++u)
            merge(all, units[u]);
        if (!labels_.empty())
            for (const std::int32_t k : known_components(batch, first_row))
                if (k >= 0)
                    ++all.labelled[k];
        all.rows += batch.x.rows;
        if (also)
            also(batch, first_row);
    });
    for (std::int64_t j = 0; j < d; ++j) {
        all.variance[j] /= all.weight;
        if (all.min[j] == all.max[j]) // the moments of such a column hold its rounding alone
            all.mean[j] = all.min[j], all.variance[j] = 0;
    }
    // Exactly: the scale is a power of two, and every weight a multiple of the smallest number of float64.
    all.weight /= weight_scale_;
    all.largest_weight /= weight_scale_;
    return all;
}

std::int64_t row_feed::find_row(std::int64_t column, double value) const {
    std::int64_t row = -1;
    for_each([&](const input_rows& batch, std::int64_t first_row) {
        for (std::int64_t begin = 0; row < 0 && begin < batch.x.rows; begin += unit_rows) {
            const std::int64_t rows = std::min(unit_rows, batch.x.rows - begin);
            const std::vector<double> x = to_host(batch.x.slice(begin, rows));
            std::vector<double> weights(rows, 1);
            if (weighted())
                weights = to_host(batch.weights.slice(begin, rows));
            for (std::int64_t i = 0; row < 0 && i < rows; ++i)
                if (weights[i] > 0 && x[i * batch.x.cols + column] == value)
                    row = first_row + begin + i;
        }
    });
    return row;
}

void row_feed::require_distinct_rows(std::int64_t wanted) const {
    std::unordered_set<std::string> seen;
    const std::int64_t cols = data_.cols();
    std::int64_t first = 0;
    const auto reader = data_.read(std::min(batch_rows_, streamed_batch_rows(data_.cols(), data_.type())));
    while (static_cast<std::int64_t>(seen.size()) < wanted) {
        const any_matrix_view batch = reader->next();
        if (batch.rows == 0)
            break;
        // In pieces, since the first few rows nearly always suffice.
        for (std::int64_t begin = 0; begin < batch.rows && static_cast<std::int64_t>(seen.size()) < wanted;
             begin += unit_rows) {
            const std::int64_t rows = std::min(unit_rows, batch.rows - begin);
            std::vector<double> values = to_host(batch.slice(begin, rows));
            std::vector<double> weights;
            if (weighted())
                weights = scaled_weights(first + begin, rows);
            for (double& v : values)
                v += 0.0; // −0 is 0
            for (std::int64_t i = 0; i < rows && static_cast<std::int64_t>(seen.size()) < wanted; ++i)
                if (!weighted() || weights[i] > 0)
                    seen.emplace(reinterpret_cast<const char*>(&values[i * cols]), cols * sizeof(double));
        }
        first += batch.rows;
    }
    const auto found = static_cast<std::int64_t>(seen.size());
    expects(found >= wanted, [&] {
        return fmt::format("components = {}: expected at most {}, the number of distinct rows {} in {}", wanted, found,
                           negligible_.rows == 0 ? "with positive weight" : "with weights that count",
                           data_.description());
    });
}

std::unique_ptr<kernels::gmm_engine> make_engine(const context& ctx, const kernels::gmm_shape& shape,
                                                 compute_precision precision, element_type data) {
    const element_type type = precision == compute_precision::automatic ? data
                              : precision == compute_precision::float32 ? element_type::float32
                                                                        : element_type::float64;
    return kernels::make_gmm_engine(ctx, shape, type);
}

std::unique_ptr<kernels::gmm_engine> make_moments_engine(const context& ctx, std::int64_t dimensions,
                                                         element_type type) {
    return make_engine(ctx, {family::diagonal, dimensions, 1}, compute_precision::automatic, type);
}

} // namespace elbo::gmm
