// Data and networks that the tests of variational autoencoders share.
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/vae/train.hpp"
#include "tests/support/data.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::test {

inline data_source rows_of(const std::vector<float>& x, std::int64_t cols) {
    return matrix_view<const float>(x.data(), static_cast<std::int64_t>(x.size()) / cols, cols);
}

/// Bits of two prototypes with some noise, rows x cols.
inline std::vector<float> noisy_bits(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
    std::vector<float> x(rows * cols);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; ++j) {
            const bool prototype = (j / 3 + i % 2) % 2 == 0;
            x[i * cols + j] = prototype != (uniform(seed, i * cols + j) < 0.1) ? 1.0f : 0.0f;
        }
    return x;
}

/// A small network for `cols` bits.
inline vae::architecture small_network(std::int64_t cols) {
    vae::architecture a;
    a.dimensions = cols;
    a.latent = 3;
    a.encoder = {8};
    a.decoder = {8};
    return a;
}

/// Everything but times, which no two runs share.
inline void expect_same_history(const std::vector<vae::epoch_record>& a, const std::vector<vae::epoch_record>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        SCOPED_TRACE("epoch " + std::to_string(i + 1));
        EXPECT_EQ(a[i].epoch, b[i].epoch);
        EXPECT_EQ(a[i].step, b[i].step);
        EXPECT_EQ(a[i].train_elbo, b[i].train_elbo);
        EXPECT_EQ(a[i].train_reconstruction, b[i].train_reconstruction);
        EXPECT_EQ(a[i].train_kl, b[i].train_kl);
        EXPECT_EQ(a[i].train_objective, b[i].train_objective);
        EXPECT_EQ(a[i].validation_elbo, b[i].validation_elbo);
        EXPECT_EQ(a[i].validation_reconstruction, b[i].validation_reconstruction);
        EXPECT_EQ(a[i].validation_kl, b[i].validation_kl);
        EXPECT_EQ(a[i].learning_rate, b[i].learning_rate);
        EXPECT_EQ(a[i].gradient_norm, b[i].gradient_norm);
    }
}

inline void expect_same_result(const vae::train_result& a, const vae::train_result& b) {
    EXPECT_EQ(a.model.parameters(), b.model.parameters());
    EXPECT_EQ(a.stopped, b.stopped);
    EXPECT_EQ(a.elbo, b.elbo);
    EXPECT_EQ(a.steps, b.steps);
    EXPECT_EQ(a.epochs, b.epochs);
    EXPECT_EQ(a.best_epoch, b.best_epoch);
    expect_same_history(a.history, b.history);
}

} // namespace elbo::test
