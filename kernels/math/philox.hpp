// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random words as a pure
// function of (key, counter). On devices the words are cuRAND's, elsewhere those of the same rounds written out, so
// host and device draw the same numbers.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>
#ifdef __CUDACC__
#include <curand_kernel.h>
#endif

namespace elbo::kernels {

/// What a stream of random numbers is for; a part of the counter, so that no two uses share numbers.
enum class random_purpose : std::uint32_t {
    row_choice = 1,       ///< which rows a start looks at
    centre_choice = 2,    ///< k-means++ draws
    responsibilities = 3, ///< random start
    sample_component = 4,
    sample_noise = 5,
    sample_gamma = 6
};

struct philox_block {
    std::uint32_t word[4];
};

ELBO_HD inline philox_block philox4x32(philox_block counter, std::uint32_t key0, std::uint32_t key1) {
#ifdef __CUDA_ARCH__
    const uint4 words = curand_Philox4x32_10(
        make_uint4(counter.word[0], counter.word[1], counter.word[2], counter.word[3]), make_uint2(key0, key1));
    return {{words.x, words.y, words.z, words.w}};
#else
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = std::uint64_t(0xD2511F53u) * counter.word[0];
        const std::uint64_t product1 = std::uint64_t(0xCD9E8D57u) * counter.word[2];
        counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                    static_cast<std::uint32_t>(product1),
                    static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                    static_cast<std::uint32_t>(product0)}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
#endif
}

/// Four words for (seed, purpose, index, item): index counts rows or draws, item what is drawn for one of them.
ELBO_HD inline philox_block random_block(std::uint64_t seed, random_purpose purpose, std::uint64_t index,
                                         std::uint32_t item = 0) {
    const philox_block counter = {{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), item,
                                   static_cast<std::uint32_t>(purpose)}};
    return philox4x32(counter, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

/// Uniform in (0, 1) with 53 random bits, never 0 or 1.
ELBO_HD inline double uniform_double(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = (std::uint64_t(high) << 21) ^ (low >> 11);
    return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

/// Two standard normals from four words (Box and Muller).
ELBO_HD inline void normal_pair(const philox_block& words, double& first, double& second) {
    const double radius = ::sqrt(-2 * ::log(uniform_double(words.word[0], words.word[1])));
    const double angle = 6.283185307179586476925 * uniform_double(words.word[2], words.word[3]);
    first = radius * ::cos(angle);
    second = radius * ::sin(angle);
}

} // namespace elbo::kernels
