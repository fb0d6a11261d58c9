// Data sources of the tests: vectors, and the small data sets that everybody knows.
#pragma once

#include "elbo/data_source.hpp"

#include <cstdint>
#include <vector>

namespace elbo::test {

/// Rows of a vector, which must outlive the source.
template <class T>
data_source view(const std::vector<T>& x, std::int64_t cols) {
    return matrix_view<const T>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}

inline data_source faithful() {
    return data_source::file(ELBO_TEST_DATA "/faithful.csv");
}
inline data_source iris() {
    return data_source::file(ELBO_TEST_DATA "/iris.csv");
}

} // namespace elbo::test
