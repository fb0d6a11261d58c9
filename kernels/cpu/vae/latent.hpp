// The latent space: q(z|x), draws of z and the gradient of the encoder's outputs: kernels in the namespace of one
// instruction set. Formulas: kernels/math/vae_latent.hpp.
#pragma once

#include "kernels/cpu/vae/kernel_table.hpp"
#include "kernels/cpu/vae/math.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD::networks {

/// Σ ½ (μ² + σ² − 1 − ln σ²) of a vector of units, in float64: σ² − 1 − ln σ² cancels where ln σ² is small.
static double_vector unit_divergence(double_vector mean, double_vector log_variance) {
    return 0.5 * (mean * mean + (exponential<double>(log_variance) - 1.0 - log_variance));
}

/// ln p(z) − ln q(z|x) of a vector of units.
static float_vector log_ratio_of(float_vector z, float_vector noise, float_vector log_variance) {
    return 0.5f * (noise * noise + log_variance - z * z);
}

/// Numbers of the noise of decoder rows, a block of Philox in each lane.
static void draw_noise(const target_view& target, const noise_key& key, std::int64_t units, const draw_view& out,
                       std::int64_t first_row, std::int64_t last_row) {
    const std::int64_t blocks = (units + 3) / 4, count = (last_row - first_row) * blocks;
    std::int64_t next_row = first_row, next_block = 0;
    for (std::int64_t first = 0; first < count; first += lanes<float>) {
        philox_lanes words;
        std::int64_t row[lanes<float>], block[lanes<float>];
        for (int i = 0; i < lanes<float>; ++i) {
            row[i] = next_row, block[i] = next_block;
            const std::uint64_t index = target.index[target.row[next_row]];
            words.word[0][i] = static_cast<std::uint32_t>(next_block);
            words.word[1][i] = static_cast<std::uint32_t>(target.draw[next_row]);
            words.word[2][i] = static_cast<std::uint32_t>(index);
            words.word[3][i] = static_cast<std::uint32_t>(index >> 32);
            if (first + i + 1 < count && ++next_block == blocks)
                next_block = 0, ++next_row;
        }
        draw_words(words, key.word[0], key.word[1]);
        for (int pair = 0; pair < 2; ++pair) {
            float_vector sine, cosine;
            sine_cosine(words.lane(2 * pair + 1), sine, cosine);
            const float_vector uniform = unit_uniform(words.lane(2 * pair));
            const float_vector radius = square_root(maximum(-2.0f * logarithm<float>(uniform), float_vector{}));
            const float_vector normal[2] = {radius * cosine, radius * sine};
            for (int i = 0; i < lanes<float> && first + i < count; ++i)
                for (int half = 0; half < 2; ++half) {
                    const std::int64_t unit = 4 * block[i] + 2 * pair + half;
                    out.noise.at(unit / panel_width, row[i])[unit % panel_width] = normal[half][i];
                }
        }
    }
}

static void posterior(const latent_view& q, std::int64_t first_row, std::int64_t last_row, double* kl) {
    const std::int64_t panels = panels_of(q.units);
    constexpr float limit = static_cast<float>(vae::latent_log_variance_limit);
    for (std::int64_t r = first_row; r < last_row; ++r) {
        double_vector sum{};
        for (std::int64_t p = 0; p < panels; ++p)
            for (int v = 0; v < panel_width; v += lanes<float>) {
                const float_vector mean = load(q.heads.at(p, r) + v);
                // The padding has a = 0: ln σ² = 0, which adds nothing.
                const float_vector log_variance =
                    limit * hyperbolic_tangent(load(q.heads.at(panels + p, r) + v) / limit);
                store(q.log_variance.at(p, r) + v, log_variance);
                store(q.sigma.at(p, r) + v, exponential<float>(0.5f * log_variance));
                sum += unit_divergence(widen_low(mean), widen_low(log_variance)) +
                       unit_divergence(widen_high(mean), widen_high(log_variance));
            }
        kl[r] = sum_lanes(sum);
    }
}

static void draw(const latent_view& q, const target_view& target, const noise_key& key, const draw_view& out,
                 std::int64_t first_row, std::int64_t last_row) {
    draw_noise(target, key, q.units, out, first_row, last_row);
    for (std::int64_t r = first_row; r < last_row; ++r) {
        const std::int64_t row = target.row[r];
        double_vector ratio{};
        for (std::int64_t p = 0; p < panels_of(q.units); ++p)
            for (int v = 0; v < static_cast<int>(panel_width) / lanes<float>; ++v) {
                const int at = v * lanes<float>;
                const int32_vector inside = column_mask(v, q.units - p * panel_width);
                const float_vector noise = inside ? load(out.noise.at(p, r) + at) : float_vector{};
                const float_vector z = load(q.heads.at(p, row) + at) + load(q.sigma.at(p, row) + at) * noise;
                store(out.noise.at(p, r) + at, noise);
                store(out.z.at(p, r) + at, z);
                const float_vector part = log_ratio_of(z, noise, load(q.log_variance.at(p, row) + at));
                ratio += widen_low(part) + widen_high(part);
            }
        out.log_ratio[r] = sum_lanes(ratio);
    }
}

static void latent_gradient(const latent_view& q, const draw_view& draws, const latent_gradient_view& g,
                            std::int64_t first_row, std::int64_t last_row) {
    const std::int64_t panels = panels_of(q.units);
    const auto prior = static_cast<float>(g.rule.prior), path = static_cast<float>(g.rule.path),
               entropy = static_cast<float>(g.rule.entropy);
    constexpr float limit = static_cast<float>(vae::latent_log_variance_limit);
    for (std::int64_t r = first_row; r < last_row; ++r)
        for (std::int64_t p = 0; p < panels; ++p)
            for (int v = 0; v < panel_width; v += lanes<float>) {
                const int32_vector inside = column_mask(v / lanes<float>, q.units - p * panel_width);
                const float_vector sigma = load(q.sigma.at(p, r) + v), mean = load(q.heads.at(p, r) + v);
                const float_vector log_variance = load(q.log_variance.at(p, r) + v);
                float_vector of_mean{}, of_log_variance{};
                for (std::int64_t s = r * g.samples; s < (r + 1) * g.samples; ++s) {
                    const auto weight = static_cast<float>(g.weights[s]);
                    const float_vector noise = load(draws.noise.at(p, s) + v), z = load(draws.z.at(p, s) + v);
                    const float_vector of_z =
                        load(g.likelihood_gradient.at(p, s) + v) + weight * (path * (noise / sigma) - prior * z);
                    const float encoder_weight = g.rule.squared_weights ? weight : 1.0f;
                    of_mean += encoder_weight * of_z;
                    of_log_variance += encoder_weight * (0.5f * of_z * noise * sigma + weight * entropy);
                }
                const float_vector kl = load(g.unit_kl_weight + p * panel_width + v);
                of_mean -= kl * mean;
                of_log_variance -= 0.5f * kl * (sigma * sigma - 1.0f);
                const float_vector t = log_variance / limit;
                store(g.out.at(p, r) + v, of_mean);
                of_log_variance *= (1.0f - t) * (1.0f + t);
                store(g.out.at(panels + p, r) + v, inside ? of_log_variance : float_vector{});
            }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD::networks
