// Drawing from the model: every number is a function of (seed, row, dimension).
#include "elbo/vae/infer.hpp"
#include "host/check.hpp"
#include "host/rows/independent_rows.hpp"
#include "host/vae/infer/streaming.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_random.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <span>

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

void check_row_sum(const architecture& a, double sum) {
    const bool is_factor = a.likelihood.library_size;
    expects(is_factor ? sum >= 0 && sum <= 0x1p40 : sum == 1, [&] {
        return fmt::format("row_sum = {}: expected {}", sum,
                           is_factor ? "a number from 0 to 2^40" : "1 for a model without library_size");
    });
}

} // namespace

void session::sample(std::int64_t first, std::int64_t rows, const sample_options& options, float* out) {
    const architecture& a = of.architecture();
    check_row_sum(a, options.row_sum);
    if (std::ssize(z_) < rows * a.latent)
        z_.resize(static_cast<std::size_t>(rows * a.latent));
    draw_latents(options.seed, first, rows, a.latent, z_.data());
    engine->decode(matrix_view<const float>(z_.data(), rows, a.latent), {out, rows, a.dimensions});
    ctx.wait();
    for (std::int64_t i = 0; a.likelihood.library_size && i < rows * a.dimensions; ++i)
        out[i] *= static_cast<float>(options.row_sum);
    if (options.means)
        return;
    const std::vector<double> own = of.own_parameter();
    const noise_key key = make_noise_key(options.seed, noise_purpose::sample_observation, 0);
    for_independent_rows(rows, a.dimensions, [&](std::int64_t i) {
        const std::span row(out + i * a.dimensions, static_cast<std::size_t>(a.dimensions));
        with_likelihood(a.likelihood.family, [&](auto family) {
            family.draw({key, static_cast<std::uint64_t>(first + i)}, a.likelihood, own, row);
        });
    });
}

void sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options, const row_sink& sink) {
    expects("n", n, at_least(1));
    session s(ctx, m);
    const std::int64_t d = m.architecture().dimensions, piece = std::min(n, s.piece_rows());
    std::vector<float> x(piece * d);
    for (std::int64_t first = 0; first < n; first += piece) {
        const std::int64_t rows = std::min(piece, n - first);
        s.sample(first, rows, options, x.data());
        sink(first, {x.data(), rows, d});
    }
}

std::vector<float> sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options) {
    std::vector<float> out;
    sample(ctx, m, n, options, collect(out));
    return out;
}

} // namespace elbo::vae
