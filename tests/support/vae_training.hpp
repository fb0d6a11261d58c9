// What the tests of training train.
#pragma once

#include "elbo/error.hpp"
#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace elbo::vae {

using test::noisy_bits;
using test::rows_of;
using test::small_network;

inline constexpr std::int64_t rows = 50, cols = 12; // 50 = 6 batches of 8 and one of 2

class VaeTrain : public testing::Test {
protected:
    train_options options() const {
        train_options o;
        o.epochs = 3;
        o.batch = 8;
        o.optimizer.learning_rate = 0.01;
        o.seed = 7;
        return o;
    }
    train_result run(const context& ctx, const train_options& o) const {
        return train(ctx, small_network(cols), rows_of(x_, cols), o);
    }
    train_result run_validated(const context& ctx, const train_options& o) const {
        return train(ctx, small_network(cols), rows_of(x_, cols), o, rows_of(held_out_, cols));
    }

    std::vector<float> x_ = noisy_bits(rows, cols, 1), held_out_ = noisy_bits(20, cols, 2);
    test::temporary_folder folder_;
};

} // namespace elbo::vae
