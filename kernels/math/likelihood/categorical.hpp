// Blocks of one-hot variables; the decoder puts out logits.
#pragma once

#include "kernels/math/likelihood/traits.hpp"

#include <algorithm>

namespace elbo::kernels {

/// ln Σ_j e^{l_j} of `count` logits: the largest is taken out, so that nothing overflows.
template <class Real>
ELBO_HD inline Real log_sum_exp(const Real* logits, std::int64_t count) {
    Real largest = logits[0];
    for (std::int64_t j = 1; j < count; ++j)
        largest = logits[j] > largest ? logits[j] : largest;
    Real sum = 0;
    for (std::int64_t j = 0; j < count; ++j)
        sum += std::exp(logits[j] - largest);
    return largest + std::log(sum);
}

/// One entry of a one-hot block: x_j (l_j − lse), which sums to log p of the block, and x_j − softmax_j.
template <class Real>
ELBO_HD inline likelihood_term<scalar_math<Real>> categorical_term(Real x, Real logit, Real block_log_sum_exp) {
    const Real log_probability = logit - block_log_sum_exp;
    // 0 · −∞ must not be NaN where an entry that is not set has no probability left.
    return {x > 0 ? x * log_probability : Real(0), x - std::exp(log_probability)};
}

namespace likelihoods {

struct categorical : likelihood_base {
    static constexpr likelihood_facts facts{
        .blocks = true, .values = "one 1 and else 0", .means = "a number from 0 to 1", .members = "blocks"};

    ELBO_HD static bool allows(double x) { return x == 0 || x == 1; }
    static bool allows_mean(double mean) { return mean >= 0 && mean <= 1; }
    /// A block is a softmax of logarithms, which only the bound keeps from being exact.
    static double output_for_mean(double mean, const vae::likelihood&, double) {
        return std::log(std::max(mean, smallest_probability));
    }
    /// The first entry of a block whose running sum of probabilities is beyond u becomes 1, all others 0.
    static void draw(const row_noise& noise, const vae::likelihood& l, std::span<const double>, std::span<float> x) {
        std::int64_t number = 0;
        for (const std::int64_t size : l.blocks) {
            const std::span<float> block = x.first(static_cast<std::size_t>(size));
            x = x.subspan(block.size());
            double total = 0;
            for (float p : block)
                total += p;
            const double u = static_cast<double>(noise.word(number++)) * 0x1p-32 * total;
            double sum = 0;
            const auto found = std::find_if(block.begin(), block.end(), [&](float p) { return (sum += p) > u; });
            const auto chosen = found == block.end() ? found - 1 : found;
            std::fill(block.begin(), block.end(), 0.0f);
            *chosen = 1;
        }
    }
};

} // namespace likelihoods
} // namespace elbo::kernels
