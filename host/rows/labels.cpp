#include "elbo/gmm/labels.hpp"

#include "host/check.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

sample_labels::sample_labels(const std::vector<std::int32_t>& labels)
    : kept_(std::make_shared<const std::vector<float>>(labels.begin(), labels.end())) {
    kind_ = kind::labels;
    values_ = matrix_view<const float>(kept_->data(), static_cast<std::int64_t>(kept_->size()), 1);
}

sample_labels sample_labels::from_column(any_matrix_view labels) {
    sample_labels result;
    result.kind_ = kind::labels;
    result.values_ = labels;
    return result;
}

sample_labels sample_labels::from_factors(any_matrix_view factors) {
    sample_labels result;
    result.kind_ = kind::factors;
    result.values_ = factors;
    return result;
}

sample_labels sample_labels::from_sets(const std::vector<std::vector<std::int32_t>>& allowed, std::int64_t components) {
    expects("components", components, at_least(1));
    const auto rows = static_cast<std::int64_t>(allowed.size());
    std::vector<float> factors(rows * components, 0);
    for (std::int64_t n = 0; n < rows; ++n) {
        float* row = factors.data() + n * components;
        if (allowed[n].empty())
            std::fill_n(row, components, 1.0F);
        for (const std::int32_t k : allowed[n]) {
            expects(k >= 0 && k < components, [&] {
                return fmt::format("allowed[{}] contains {}: expected components from 0 to {}", n, k, components - 1);
            });
            row[k] = 1;
        }
    }
    sample_labels result;
    result.kind_ = kind::factors;
    result.kept_ = std::make_shared<const std::vector<float>>(std::move(factors));
    result.values_ = matrix_view<const float>(result.kept_->data(), rows, components);
    return result;
}

} // namespace elbo::gmm
