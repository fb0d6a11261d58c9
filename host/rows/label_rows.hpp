// Labels of rows on the host: checked, and as the component that each row is known to come from.
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/gmm/labels.hpp"

#include <cstdint>
#include <vector>

namespace elbo::gmm {

/// Throws invalid_argument unless there is one label, or one factor for each component, for every row of the data.
void check_label_shape(const sample_labels& labels, const data_source& data, std::int64_t components);

/// For each of the rows first_row, ... with these labels or factors, row-major: the one component that it may come
/// from; −1 where there are several. Throws invalid_argument that names the row: a label that is not a whole number
/// from −1 to k − 1, a factor that is negative or not finite, a row of factors that are all 0.
std::vector<std::int32_t> known_components(sample_labels::kind kind, const std::vector<double>& values,
                                           std::int64_t components, std::int64_t first_row);

} // namespace elbo::gmm
