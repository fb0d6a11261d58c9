// Dense layers: tiles of products on panels, forward, backward and gradients of weights: kernels in the namespace of
// one instruction set.
#pragma once

#include "kernels/cpu/core/tiling.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"
#include "kernels/cpu/vae/math.hpp"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD::networks {

using vae::activation;

/// Rows of a product in registers: one vector of the right factor and the broadcast beside the sums.
inline constexpr int product_rows = (vector_registers == 32 ? 24 : 12) / panel_vectors;
/// Rows of a weight gradient in registers.
inline constexpr int gradient_rows = (vector_registers == 32 ? 16 : 8) / panel_vectors;
/// Terms of one float32 chain.
inline constexpr std::int64_t chain_terms = 256;

/// Sums of R rows of a panel in registers.
template <int R>
struct product_sums {
    float_vector sum[R][panel_vectors] = {};

    /// sum[r] += a[r · RowStep] · b.
    template <int RowStep>
    [[gnu::always_inline]] void add(const float* a, const float* b) {
        add_outer<RowStep>(a, b, sum);
    }
    [[gnu::always_inline]] void store_to(float* out, bool add_to) const {
#pragma GCC unroll 24
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < panel_vectors; ++v) {
                float* const to = out + r * panel_width + v * lanes<float>;
                store(to, add_to ? load(to) + sum[r][v] : sum[r][v]);
            }
    }
};

/// out[r][16] = Σ_k a[r][k] b[k][16] for R rows; the panels of a are `a_stride` apart.
template <int R>
static void product_tile(const float* a, std::int64_t a_stride, const float* b, std::int64_t depth, float* out) {
    for (std::int64_t first = 0; first < depth; first += chain_terms) {
        const std::int64_t last = first + chain_terms < depth ? first + chain_terms : depth;
        product_sums<R> sums;
        for (std::int64_t k = first; k < last; k += panel_width, a += a_stride) {
            const float* left = a;
            const std::int64_t terms = last - k < panel_width ? last - k : panel_width;
#pragma GCC unroll 4
            for (std::int64_t i = 0; i < terms; ++i, b += panel_width)
                sums.template add<panel_width>(left++, b);
        }
        sums.store_to(out, first > 0);
    }
}

/// out[i][16] = Σ_rows x[row][i] g[row][16] for R columns i of a panel of x.
template <int R>
static void outer_tile(const float* x, const float* g, std::int64_t rows, float* out) {
    for (std::int64_t first = 0; first < rows; first += chain_terms) {
        const std::int64_t last = first + chain_terms < rows ? first + chain_terms : rows;
        product_sums<R> sums;
#pragma GCC unroll 2
        for (std::int64_t row = first; row < last; ++row)
            sums.template add<1>(x + row * panel_width, g + row * panel_width);
        sums.store_to(out, first > 0);
    }
}

/// Calls f.template operator()<F>() for the activation.
template <class Call>
static void with_activation(activation form, const Call& f) {
    switch (form) {
    case activation::identity:
        return f.template operator()<activation::identity>();
    case activation::tanh:
        return f.template operator()<activation::tanh>();
    case activation::relu:
        return f.template operator()<activation::relu>();
    case activation::gelu:
        return f.template operator()<activation::gelu>();
    case activation::silu:
        return f.template operator()<activation::silu>();
    case activation::softplus:
        return f.template operator()<activation::softplus>();
    }
}

/// out[r] = f(out[r] + bias) in the first `columns` columns, else 0.
template <activation F>
static void finish_rows(float* out, float* sums, const float* bias, std::int64_t rows, std::int64_t columns) {
    for (int v = 0; v < panel_vectors; ++v) {
        const float_vector b = load(bias + v * lanes<float>);
        const int32_vector inside = column_mask(v, columns);
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t at = r * panel_width + v * lanes<float>;
            const float_vector a = load(out + at) + b;
            if (sums)
                store(sums + at, a);
            store(out + at, inside ? activate<vector_math>(F, a) : float_vector{});
        }
    }
}

static void forward(const layer_view& layer, const panel_matrix& in, const panel_matrix& sums, const panel_matrix& out,
                    const panel_range& range) {
    for (std::int64_t p = range.first_panel; p < range.last_panel; ++p) {
        const float* weights = layer.weights + p * layer.input_panels * panel_width * panel_width;
        const float* bias = layer.bias + p * panel_width;
        in_even_parts<product_rows>(range.last_row - range.first_row, [&]<int R>(std::int64_t first) {
            const std::int64_t row = range.first_row + first;
            float* const to = out.at(p, row);
            product_tile<R>(in.at(0, row), in.stride, weights, layer.inputs, to);
            with_activation(layer.form, [&]<activation F>() {
                finish_rows<F>(to, sums.data ? sums.at(p, row) : nullptr, bias, R, layer.columns_of(p));
            });
        });
    }
}

static void backward(const layer_view& layer, const panel_matrix& gradient, activation form, const panel_matrix& kept,
                     const panel_matrix& out, const panel_range& range) {
    const std::int64_t depth = layer.output_panels * panel_width;
    for (std::int64_t p = range.first_panel; p < range.last_panel; ++p) {
        const float* weights = layer.transposed + p * depth * panel_width;
        in_even_parts<product_rows>(range.last_row - range.first_row, [&]<int R>(std::int64_t first) {
            const std::int64_t row = range.first_row + first;
            float* const to = out.at(p, row);
            product_tile<R>(gradient.at(0, row), gradient.stride, weights, depth, to);
            if (form == activation::identity)
                return;
            const float* of = kept.at(p, row);
            with_activation(form, [&]<activation F>() {
                for (std::int64_t i = 0; i < R * panel_width; i += lanes<float>)
                    store(to + i, load(to + i) * activation_slope<vector_math>(F, load(of + i)));
            });
        });
    }
}

/// gradient *= scale; the sum of the squares in float64.
static double scale_and_square(float* gradient, std::int64_t count, float scale) {
    double_vector low{}, high{};
    for (std::int64_t i = 0; i < count; i += lanes<float>) {
        const float_vector g = load(gradient + i) * scale;
        store(gradient + i, g);
        low += widen_low(g) * widen_low(g);
        high += widen_high(g) * widen_high(g);
    }
    return sum_lanes(low + high);
}

static double weight_gradient(const float* x, const float* g, std::int64_t rows, float scale, float* gradient) {
    for (int i = 0; i < panel_width; i += gradient_rows)
        outer_tile<gradient_rows>(x + i, g, rows, gradient + i * panel_width);
    return scale_and_square(gradient, panel_width * panel_width, scale);
}

static double bias_gradient(const float* g, std::int64_t rows, float scale, float* gradient) {
    for (int v = 0; v < panel_width; v += lanes<float>) {
        float_vector total{};
        for (std::int64_t first = 0; first < rows; first += chain_terms) {
            const std::int64_t last = first + chain_terms < rows ? first + chain_terms : rows;
            float_vector sum{};
            for (std::int64_t r = first; r < last; ++r)
                sum += load(g + r * panel_width + v);
            total += sum;
        }
        store(gradient + v, total);
    }
    return scale_and_square(gradient, panel_width, scale);
}

} // namespace elbo::kernels::cpu::ELBO_SIMD::networks
