// Drawing from the model: every number is a function of (seed, row, dimension).
#include "elbo/vae/infer.hpp"
#include "host/rows/independent_rows.hpp"
#include "host/vae/infer/streaming.hpp"
#include "host/vae/train/options.hpp"
#include "kernels/math/vae_random.hpp"

#include <algorithm>

namespace elbo::vae {

using namespace kernels;

namespace {

/// z ~ N(0, I) for rows first ... [rows x latent].
void draw_latents(std::uint64_t seed, std::int64_t first, std::int64_t rows, std::int64_t latent, float* z) {
    const noise_key key = make_noise_key(seed, noise_purpose::sample_latent, 0);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t l = 0; l < latent; l += 4) {
            float four[4];
            four_normals(noise_words(key, static_cast<std::uint64_t>(first + i), 0, static_cast<std::uint32_t>(l / 4)),
                         four);
            std::copy(four, four + std::min<std::int64_t>(4, latent - l), z + i * latent + l);
        }
}

/// The first entry of a block whose running sum of probabilities is beyond u becomes 1, all others 0.
void draw_one_hot(std::uint32_t word, std::int64_t size, float* block) {
    double total = 0;
    for (std::int64_t j = 0; j < size; ++j)
        total += block[j];
    const double u = static_cast<double>(word) * 0x1p-32 * total;
    std::int64_t chosen = size - 1;
    double sum = 0;
    for (std::int64_t j = 0; j < size; ++j)
        if ((sum += block[j]) > u) {
            chosen = j;
            break;
        }
    std::fill(block, block + size, 0.0f);
    block[chosen] = 1;
}

/// Turns means of p(x|z) into draws of x.
class observation_sampler {
public:
    observation_sampler(const model& m, std::uint64_t seed)
        : shape_(m.architecture()), sigma_(m.sigma()),
          key_(make_noise_key(seed, noise_purpose::sample_observation, 0)) {}

    void draw(std::int64_t row, float* x) const {
        switch (shape_.likelihood.family) {
        case likelihood_family::bernoulli:
            return draw_bits(static_cast<std::uint64_t>(row), x);
        case likelihood_family::gaussian:
            return add_noise(static_cast<std::uint64_t>(row), x);
        case likelihood_family::categorical:
            return draw_blocks(static_cast<std::uint64_t>(row), x);
        }
    }

private:
    void draw_bits(std::uint64_t row, float* x) const {
        for (std::int64_t j = 0; j < shape_.dimensions; ++j)
            x[j] = binarized(word(row, j), x[j]) ? 1.0f : 0.0f;
    }
    void add_noise(std::uint64_t row, float* x) const {
        for (std::int64_t j = 0; j < shape_.dimensions; j += 4) {
            float four[4];
            four_normals(noise_words(key_, row, 0, static_cast<std::uint32_t>(j / 4)), four);
            for (std::int64_t i = j; i < std::min(j + 4, shape_.dimensions); ++i)
                x[i] += static_cast<float>(sigma_.size() == 1 ? sigma_[0] : sigma_[i]) * four[i - j];
        }
    }
    void draw_blocks(std::uint64_t row, float* x) const {
        std::int64_t number = 0;
        for (const std::int64_t size : shape_.likelihood.blocks) {
            draw_one_hot(word(row, number++), size, x);
            x += size;
        }
    }
    std::uint32_t word(std::uint64_t row, std::int64_t j) const {
        return noise_words(key_, row, 0, static_cast<std::uint32_t>(j / 4)).word[j % 4];
    }

    const architecture& shape_;
    std::vector<double> sigma_;
    noise_key key_;
};

} // namespace

void sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options, const row_sink& sink) {
    check_at_least("n", n, 1);
    const architecture& a = m.architecture();
    const observation_sampler sampler(m, options.seed);
    const auto engine = engine_of(ctx, m);
    const std::int64_t piece =
        std::min(n, std::max<std::int64_t>(1, (std::int64_t(1) << 22) / std::max(a.dimensions, a.latent)));
    std::vector<float> z(piece * a.latent), x(piece * a.dimensions);
    for (std::int64_t first = 0; first < n; first += piece) {
        const std::int64_t rows = std::min(piece, n - first);
        draw_latents(options.seed, first, rows, a.latent, z.data());
        engine->decode(matrix_view<const float>(z.data(), rows, a.latent), {x.data(), rows, a.dimensions});
        ctx.wait();
        if (!options.means)
            for_independent_rows(rows, a.dimensions,
                                 [&](std::int64_t i) { sampler.draw(first + i, &x[i * a.dimensions]); });
        sink(first, {x.data(), rows, a.dimensions});
    }
}

std::vector<float> sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options) {
    std::vector<float> out;
    sample(ctx, m, n, options, collect(out));
    return out;
}

} // namespace elbo::vae
