// What the tests of streams and statistics begin with.
#pragma once

#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "tests/support/sources.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::test {

/// Rows first ... first + count − 1.
inline data_source part(const std::vector<double>& x, std::int64_t cols, std::int64_t first, std::int64_t count) {
    return matrix_view<const double>(x.data() + first * cols, count, cols);
}

/// Where a fit and a stream begin: some rows as means.
inline gmm::model start_of(const std::vector<double>& x, std::int64_t cols, gmm::family f, std::int64_t k) {
    gmm::fit_options options{.components = k, .shape = f, .start = gmm::start_method::samples};
    options.max_iterations = 1;
    options.seed = 3;
    return gmm::fit(context::reference(), view(x, cols), options).model;
}

/// Expects a file_error whose message has this text in it when `read` is called.
template <class Read>
void refuses(const std::string& text, const Read& read) {
    try {
        read();
        ADD_FAILURE() << "no exception; expected " << text;
    } catch (const file_error& e) {
        EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
}

} // namespace elbo::test
