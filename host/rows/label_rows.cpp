#include "host/rows/label_rows.hpp"

#include "host/check.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

namespace {

std::int32_t known_by_label(double label, std::int64_t components, std::int64_t row) {
    expects(label >= -1 && label < static_cast<double>(components) && label == std::floor(label), [&] {
        return fmt::format("labels[{}] = {}: expected a whole number, from 0 to {}, or -1 where unknown", row, label,
                           components - 1);
    });
    return static_cast<std::int32_t>(label);
}

std::int32_t known_by_factors(const double* factors, std::int64_t components, std::int64_t row) {
    std::int64_t positive = 0, last = -1;
    for (std::int64_t k = 0; k < components; ++k) {
        expects(factors[k] >= 0 && std::isfinite(factors[k]), [&] {
            return fmt::format("labels[{}][{}] = {}: expected a finite factor, at least 0", row, k, factors[k]);
        });
        if (factors[k] > 0)
            last = k, ++positive;
    }
    expects(positive > 0, [&] {
        return fmt::format("labels[{}] is 0 for all {} components: expected a positive factor for at least one", row,
                           components);
    });
    return static_cast<std::int32_t>(positive == 1 ? last : -1);
}

} // namespace

void check_label_shape(const sample_labels& labels, const data_source& data, std::int64_t components) {
    const any_matrix_view& v = labels.values();
    const std::int64_t cols = labels.what() == sample_labels::kind::labels ? 1 : components;
    expects(v.rows == data.rows() && v.cols == cols, [&] {
        return fmt::format("labels has {} x {} numbers: expected {} x {}, {} for each of the rows of {}", v.rows,
                           v.cols, data.rows(), cols,
                           labels.what() == sample_labels::kind::labels ? "a label" : "a factor of each component",
                           data.description());
    });
}

std::vector<std::int32_t> known_components(sample_labels::kind kind, const std::vector<double>& values,
                                           std::int64_t components, std::int64_t first_row) {
    const std::int64_t cols = kind == sample_labels::kind::labels ? 1 : components;
    const auto rows = static_cast<std::int64_t>(values.size()) / cols;
    std::vector<std::int32_t> known(rows);
    for (std::int64_t n = 0; n < rows; ++n)
        known[n] = kind == sample_labels::kind::labels ? known_by_label(values[n], components, first_row + n)
                                                       : known_by_factors(&values[n * cols], components, first_row + n);
    return known;
}

} // namespace elbo::gmm
