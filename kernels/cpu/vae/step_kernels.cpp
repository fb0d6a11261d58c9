// The kernels of networks, compiled once for each instruction set; of its own rows of data into panels, and the
// optimiser.
#include "kernels/contract/vae_engine.hpp"
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/core/transpose.hpp"
#include "kernels/cpu/vae/latent.hpp"
#include "kernels/cpu/vae/layer.hpp"
#include "kernels/cpu/vae/likelihood.hpp"

#include <algorithm>

namespace elbo::kernels::cpu::ELBO_SIMD {

namespace networks {

namespace {

/// Replaces a row's values by 0 or 1: 1 where word < value · 2³², exactly so.
void binarize(const noise_key& key, std::uint64_t index, std::int64_t dimensions, float* out, std::int64_t stride) {
    constexpr int block_panels = 4 * lanes<float> / static_cast<int>(panel_width);
    for (std::int64_t p = 0; p * panel_width < dimensions; p += block_panels) {
        philox_lanes words;
        for (int i = 0; i < lanes<float>; ++i) {
            words.word[0][i] = static_cast<std::uint32_t>(p * (panel_width / 4) + i);
            words.word[1][i] = 0;
            words.word[2][i] = static_cast<std::uint32_t>(index);
            words.word[3][i] = static_cast<std::uint32_t>(index >> 32);
        }
        draw_words(words, key.word[0], key.word[1]);
        for (int q = 0; q < block_panels && (p + q) * panel_width < dimensions; ++q) {
            float* const value = out + (p + q) * stride;
            for (int i = 0; i < panel_width; ++i) {
                const std::uint32_t word = words.word[i % 4][q * (panel_width / 4) + i / 4];
                value[i] = static_cast<double>(word) * 0x1p-32 < static_cast<double>(value[i]) ? 1.0f : 0.0f;
            }
        }
    }
}

/// Calls value(j) for every dimension and puts it into its panel; 0 into the padding.
template <class Value>
void fill_panels(std::int64_t dimensions, float* out, std::int64_t stride, const Value& value) {
    for (std::int64_t first = 0; first < dimensions; first += panel_width, out += stride) {
        const std::int64_t columns = dimensions - first < panel_width ? dimensions - first : panel_width;
        for (std::int64_t i = 0; i < columns; ++i)
            out[i] = value(first + i);
        for (std::int64_t i = columns; i < panel_width; ++i)
            out[i] = 0;
    }
}

void expand(const stored_row& row, std::int64_t dimensions, const noise_key* key, std::uint64_t index, float* out,
            std::int64_t stride) {
    switch (static_cast<row_storage>(row.storage)) {
    case row_storage::bits:
        fill_panels(dimensions, out, stride, [bits = static_cast<const std::uint16_t*>(row.data)](std::int64_t j) {
            return static_cast<float>((bits[j / panel_width] >> (j % panel_width)) & 1);
        });
        break;
    case row_storage::bytes:
        fill_panels(dimensions, out, stride, [bytes = static_cast<const std::uint8_t*>(row.data)](std::int64_t j) {
            return static_cast<float>(bytes[j]) / 255.0f;
        });
        break;
    case row_storage::float32:
        fill_panels(dimensions, out, stride,
                    [values = static_cast<const float*>(row.data)](std::int64_t j) { return values[j]; });
        break;
    }
    if (key)
        binarize(*key, index, dimensions, out, stride);
}

void log_input(const panel_matrix& in, const panel_matrix& out, const panel_range& range) {
    for (std::int64_t p = range.first_panel; p < range.last_panel; ++p)
        for (std::int64_t r = range.first_row; r < range.last_row; ++r)
            for (int v = 0; v < panel_width; v += lanes<float>)
                store(out.at(p, r) + v, log_one_plus(load(in.at(p, r) + v)));
}

void optimize(const optimizer_step<float>& step, const parameter_view& view, std::int64_t count) {
    const bool has_second = step.kind != vae::optimizer_kind::sgd;
    for (std::int64_t i = 0; i < count; i += lanes<float>) {
        float_vector m = load(view.first_moment + i), v = has_second ? load(view.second_moment + i) : float_vector{};
        const float_vector p = kernels::optimize<vector_math>(step, load(view.gradient + i), view.is_weight,
                                                              load(view.parameter + i), m, v);
        store(view.first_moment + i, m);
        store(view.parameter + i, p);
        if (has_second)
            store(view.second_moment + i, v);
        if (view.average)
            store(view.average + i, averaged(view.average_decay, view.one_minus_decay, load(view.average + i), p));
    }
}

void transpose_block(const float* block, float* out) {
    for (int i = 0; i < panel_width; i += lanes<float>)
        for (int j = 0; j < panel_width; j += lanes<float>) {
            float_vector square[lanes<float>];
            for (int r = 0; r < lanes<float>; ++r)
                square[r] = load(block + (i + r) * panel_width + j);
            transpose<float>(square);
            for (int r = 0; r < lanes<float>; ++r)
                store(out + (j + r) * panel_width + i, square[r]);
        }
}

} // namespace

} // namespace networks

const vae_table vae_kernels = {networks::forward,         networks::backward,       networks::weight_gradient,
                               networks::bias_gradient,   networks::likelihood,     networks::means,
                               networks::weigh,           networks::posterior,      networks::draw,
                               networks::latent_gradient, networks::expand,         networks::log_input,
                               networks::optimize,        networks::transpose_block};

} // namespace elbo::kernels::cpu::ELBO_SIMD
