// Random numbers of autoencoders: bijections, moments, and that they depend on every argument.
#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/math/vae_optimizer.hpp"
#include "kernels/math/vae_random.hpp"
#include "kernels/math/vae_storage.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace elbo::kernels {
namespace {

using vae::activation;

TEST(VaeRandom, ShufflesAreBijections) {
    std::vector<std::uint64_t> sizes = {1023, 1024, 1025, 4095, 4096, 4097, 60000};
    for (std::uint64_t rows = 1; rows <= 70; ++rows)
        sizes.push_back(rows);
    for (std::uint64_t rows : sizes)
        for (std::uint64_t epoch : {0, 1, 7}) {
            const shuffle_order order = make_shuffle(5, epoch, 0, rows);
            std::vector<bool> seen(rows, false);
            for (std::uint64_t position = 0; position < rows; ++position) {
                const std::uint64_t row = shuffled(order, position);
                ASSERT_LT(row, rows);
                ASSERT_FALSE(seen[row]) << row << " twice among " << rows;
                seen[row] = true;
            }
        }
}

TEST(VaeRandom, ShufflesDependOnSeedEpochAndWindow) {
    const auto order_of = [](std::uint64_t seed, std::uint64_t epoch, std::uint32_t window) {
        std::vector<std::uint64_t> rows;
        for (std::uint64_t position = 0; position < 100; ++position)
            rows.push_back(shuffled(make_shuffle(seed, epoch, window, 100), position));
        return rows;
    };
    const auto first = order_of(1, 1, 0);
    EXPECT_EQ(order_of(1, 1, 0), first);
    EXPECT_NE(order_of(2, 1, 0), first);
    EXPECT_NE(order_of(1, 2, 0), first);
    EXPECT_NE(order_of(1, 1, 1), first);
    // Large counts stay inside, too.
    const std::uint64_t many = (std::uint64_t(1) << 33) + 5;
    const shuffle_order order = make_shuffle(1, 1, 0, many);
    for (std::uint64_t position : {std::uint64_t(0), many / 2, many - 1})
        EXPECT_LT(shuffled(order, position), many);
}

TEST(VaeRandom, NormalsHaveTheirMoments) {
    // 2^18 numbers: the mean errs by 1/√N, the mean square by √(2/N), the mean fourth power by √(96/N); 5 of each.
    const noise_key key = make_noise_key(3, noise_purpose::latent, 0);
    const std::uint64_t blocks = 1 << 16;
    double sum[5] = {};
    double of_pairs = 0;
    for (std::uint64_t row = 0; row < blocks; ++row) {
        double z[4];
        four_normals(noise_words(key, row, 1, 2), z);
        for (double value : z)
            for (int power = 1; power <= 4; ++power)
                sum[power] += std::pow(value, power);
        of_pairs += z[0] * z[1] + z[1] * z[2] + z[2] * z[3] + z[3] * z[0];
    }
    const double count = 4 * static_cast<double>(blocks), error = 5 / std::sqrt(count);
    EXPECT_NEAR(sum[1] / count, 0, error);
    EXPECT_NEAR(sum[2] / count, 1, error * std::sqrt(2.0));
    EXPECT_NEAR(sum[3] / count, 0, error * std::sqrt(15.0));
    EXPECT_NEAR(sum[4] / count, 3, error * std::sqrt(96.0));
    EXPECT_NEAR(of_pairs / count, 0, 2 * error);
}

TEST(VaeRandom, NormalsAreFiniteForEveryWord) {
    for (std::uint32_t word : {0u, 1u, 0x7fffffffu, 0xffffff7fu, 0xffffff80u, 0xffffffffu}) {
        float single[4];
        double wide[4];
        four_normals({{word, word, word, word}}, single);
        four_normals({{word, word, word, word}}, wide);
        for (int i = 0; i < 4; ++i) {
            EXPECT_TRUE(std::isfinite(single[i])) << word;
            EXPECT_TRUE(std::isfinite(wide[i])) << word;
        }
    }
}

TEST(VaeRandom, NoiseDependsOnEveryArgument) {
    const auto word = [](std::uint64_t seed, noise_purpose purpose, std::uint64_t epoch, std::uint64_t row,
                         std::uint32_t draw, std::uint32_t block) {
        const philox_block words = noise_words(make_noise_key(seed, purpose, epoch), row, draw, block);
        return std::array<std::uint32_t, 4>{words.word[0], words.word[1], words.word[2], words.word[3]};
    };
    const std::uint64_t high = std::uint64_t(1) << 32;
    const auto p = noise_purpose::latent;
    const std::array<std::uint32_t, 4> all[] = {
        word(1, p, 1, 1, 1, 1),        word(2, p, 1, 1, 1, 1), word(1 + high, p, 1, 1, 1, 1),
        word(1, p, 2, 1, 1, 1),        word(1, p, 1, 2, 1, 1), word(1, p, 1 + high, 1, 1, 1),
        word(1, p, 1, 1 + high, 1, 1), word(1, p, 1, 1, 2, 1), word(1, noise_purpose::shuffle, 1, 1, 1, 1),
        word(1, p, 1, 1, 1, 2)};
    for (std::size_t i = 0; i < std::size(all); ++i)
        for (std::size_t j = 0; j < i; ++j)
            EXPECT_NE(all[i], all[j]) << i << ' ' << j;
}

TEST(VaeRandom, BinarizedWithTheValueAsProbability) {
    for (std::uint32_t word : {0u, 0x80000000u, 0xffffffffu}) {
        EXPECT_FALSE(binarized(word, 0));
        EXPECT_TRUE(binarized(word, 1));
    }
    EXPECT_TRUE(binarized(0x7fffffffu, 0.5));
    EXPECT_FALSE(binarized(0x80000000u, 0.5));
    EXPECT_TRUE(binarized(0, 1e-30));
    EXPECT_FALSE(binarized(1, 0x1p-32));
}

} // namespace
} // namespace elbo::kernels
