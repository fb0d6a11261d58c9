// Random numbers of variational autoencoders: pure functions of (seed, purpose, epoch, row, draw, dimension), the same
// words in every back end. A key is made once an epoch and purpose; a block of four numbers costs one Philox call.
#pragma once

#include "kernels/math/macros.hpp"
#include "kernels/math/philox.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

enum class noise_purpose : std::uint32_t {
    initialization = 101, ///< of weights
    shuffle = 102,
    binarization = 103, ///< of training rows
    latent = 104,       ///< ε of training
    evaluation_binarization = 105,
    evaluation_latent = 106,
    importance_latent = 107,
    sample_latent = 108,
    sample_observation = 109,
    validation_rows = 110 ///< which rows of a data set are for validation
};

/// Key of one stream of blocks.
struct noise_key {
    std::uint32_t word[2];
};

ELBO_HD inline noise_key make_noise_key(std::uint64_t seed, noise_purpose purpose, std::uint64_t epoch,
                                        std::uint32_t part = 0) {
    const philox_block counter = {{static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(epoch >> 32), part,
                                   static_cast<std::uint32_t>(purpose)}};
    const philox_block words =
        philox4x32(counter, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
    return {{words.word[0], words.word[1]}};
}

/// The streams of an evaluation; rows are binarised where that is asked for.
struct evaluation_noise {
    noise_key latent{};
    bool binarize = false;
    noise_key binarization{};
};
inline evaluation_noise make_evaluation_noise(std::uint64_t seed, noise_purpose latent, bool binarize) {
    return {make_noise_key(seed, latent, 0), binarize, make_noise_key(seed, noise_purpose::evaluation_binarization, 0)};
}

/// Four words for dimensions 4·block ... 4·block + 3 of draw `draw` for row `row`.
ELBO_HD inline philox_block noise_words(const noise_key& key, std::uint64_t row, std::uint32_t draw,
                                        std::uint32_t block) {
    const philox_block counter = {
        {block, draw, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32)}};
    return philox4x32(counter, key.word[0], key.word[1]);
}

/// cos 2πt and sin 2πt of a turn t in [0, 1]. Without the reduction of large angles, which needs local memory on
/// devices.
template <class Real>
ELBO_HD inline void point_on_circle(Real turn, Real& x, Real& y) {
#ifdef __CUDA_ARCH__
    ::sincospi(2 * turn, &y, &x);
#else
    const Real angle = turn * Real(6.28318530717958647693);
    x = ::cos(angle);
    y = ::sin(angle);
#endif
}

/// Four standard normals from four words (Box and Muller): (0, 1) from words 0 and 1, (2, 3) from words 2 and 3.
/// u = (w + ½)·2⁻³² lies in (0, 1); in float32 it rounds to 1 for the 128 largest words, where the radius is 0.
template <class Real>
ELBO_HD inline void four_normals(const philox_block& words, Real out[4]) {
    for (int pair = 0; pair < 2; ++pair) {
        const Real u = (static_cast<Real>(words.word[2 * pair]) + Real(0.5)) * Real(0x1p-32);
        const Real radius = ::sqrt(Real(-2) * ::log(u));
        Real x, y;
        point_on_circle((static_cast<Real>(words.word[2 * pair + 1]) + Real(0.5)) * Real(0x1p-32), x, y);
        out[2 * pair] = radius * x;
        out[2 * pair + 1] = radius * y;
    }
}

/// Whether a grey value becomes 1: word · 2⁻³² < value, exactly so for every value in [0, 1].
ELBO_HD inline bool binarized(std::uint32_t word, double value) {
    return static_cast<double>(word) * 0x1p-32 < value;
}

/// A bijection of 0 ... rows − 1 for each key: four Feistel rounds on the smallest even number of bits that holds
/// rows, repeated until the value is below rows (cycle walking; fewer than four rounds of it on average).
struct shuffle_order {
    noise_key key;
    std::uint64_t rows;
    std::uint32_t half_bits;
};

ELBO_HD inline shuffle_order make_shuffle(std::uint64_t seed, std::uint64_t epoch, std::uint32_t window,
                                          std::uint64_t rows) {
    std::uint32_t half_bits = 1;
    while (half_bits < 32 && (std::uint64_t(1) << (2 * half_bits)) < rows)
        ++half_bits;
    return {make_noise_key(seed, noise_purpose::shuffle, epoch, window), rows, half_bits};
}

/// The row at a position of the epoch.
ELBO_HD inline std::uint64_t shuffled(const shuffle_order& order, std::uint64_t position) {
    const std::uint32_t mask = order.half_bits == 32 ? 0xffffffffu : ((std::uint32_t(1) << order.half_bits) - 1);
    std::uint64_t value = position;
    do {
        auto left = static_cast<std::uint32_t>(value >> order.half_bits);
        auto right = static_cast<std::uint32_t>(value) & mask;
        for (std::uint32_t round = 0; round < 4; ++round) {
            // One Philox call of which a word serves as the round function.
            const philox_block words = philox4x32({{right, round, 0, 0}}, order.key.word[0], order.key.word[1]);
            const std::uint32_t next = left ^ (words.word[0] & mask);
            left = right;
            right = next;
        }
        value = (std::uint64_t(left) << order.half_bits) | right;
    } while (value >= order.rows);
    return value;
}

} // namespace elbo::kernels
