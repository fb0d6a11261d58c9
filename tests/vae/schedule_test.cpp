// Learning rates over time.
#include "elbo/vae/train.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace elbo::vae {
namespace {

TEST(VaeSchedule, ConstantIsOne) {
    const schedule s;
    for (const std::int64_t step : {0, 1, 99})
        EXPECT_EQ(s.factor(step, 10, 100), 1);
}

TEST(VaeSchedule, StepsChangeAtTheirEpochs) {
    schedule s;
    s.form = schedule::kind::steps;
    s.boundaries = {1, 2.5};
    s.factors = {0.5, 0.1};
    EXPECT_EQ(s.factor(0, 10, 40), 1);
    EXPECT_EQ(s.factor(9, 10, 40), 1);
    EXPECT_EQ(s.factor(10, 10, 40), 0.5);
    EXPECT_EQ(s.factor(24, 10, 40), 0.5);
    EXPECT_EQ(s.factor(25, 10, 40), 0.1);
    EXPECT_EQ(s.factor(39, 10, 40), 0.1);
}

TEST(VaeSchedule, CosineGoesFromOneToTheFinalFactor) {
    schedule s;
    s.form = schedule::kind::cosine;
    s.final_factor = 0.2;
    EXPECT_DOUBLE_EQ(s.factor(0, 10, 101), 1);
    EXPECT_DOUBLE_EQ(s.factor(50, 10, 101), 0.6);
    EXPECT_DOUBLE_EQ(s.factor(100, 10, 101), 0.2);
    EXPECT_DOUBLE_EQ(s.factor(25, 10, 101), 0.2 + 0.8 * 0.5 * (1 + std::sqrt(0.5)));
    EXPECT_EQ(s.factor(0, 1, 1), 1) << "a run of one step";
}

TEST(VaeSchedule, WarmUpMultipliesEveryForm) {
    schedule s;
    s.warm_up_steps = 4;
    EXPECT_DOUBLE_EQ(s.factor(0, 10, 100), 0.25);
    EXPECT_DOUBLE_EQ(s.factor(2, 10, 100), 0.75);
    EXPECT_DOUBLE_EQ(s.factor(3, 10, 100), 1);
    s.form = schedule::kind::steps;
    s.boundaries = {0.1};
    s.factors = {0.5};
    EXPECT_DOUBLE_EQ(s.factor(1, 10, 100), 0.25);
}

// Eight stages of 3^(i−1) epochs, 3280 in all, at 10^(−(i−1)/7).
TEST(VaeSchedule, BurdaIsThePublishedOne) {
    const schedule s = schedule::burda();
    ASSERT_EQ(s.boundaries.size(), 7u);
    std::int64_t epoch = 0, length = 1;
    for (int stage = 1; stage <= 8; ++stage, length *= 3) {
        for (const std::int64_t e : {epoch, epoch + length - 1})
            EXPECT_DOUBLE_EQ(s.factor(e * 5, 5, 3280 * 5), std::pow(10.0, -(stage - 1) / 7.0)) << "epoch " << e;
        epoch += length;
    }
    EXPECT_EQ(epoch, 3280);
}

} // namespace
} // namespace elbo::vae
