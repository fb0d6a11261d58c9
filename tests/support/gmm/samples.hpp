// Views of test data and whole models, for tests of what is public about mixtures.
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/error.hpp"
#include "elbo/gmm/model.hpp"
#include "tests/support/data.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace elbo::test {

template <class T>
data_source rows_of(const std::vector<T>& x, std::int64_t cols) {
    return matrix_view<const T>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}

/// random_parameters() as a model.
inline gmm::model random_model(const kernels::gmm_shape& s, double spread, std::uint64_t seed) {
    const kernels::gmm_parameters p = random_parameters(s, spread, seed);
    std::vector<double> weights;
    for (const double a : p.log_weights)
        weights.push_back(std::exp(a));
    return gmm::model::from_precision_cholesky(s.family, s.dimensions, weights, p.means, p.precision_cholesky);
}

/// What the exception says that a call throws.
template <class E = invalid_argument>
std::string message_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const E& e) {
        return e.what();
    }
    return "no exception";
}

} // namespace elbo::test
