// Tiles of matrix products on panels (kernel_table.hpp).
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/vae/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Vectors of one row of a panel.
inline constexpr int panel_vectors = static_cast<int>(panel_width) / lanes<float>;
/// Lanes of vector v of a panel that lie in its first `columns` columns.
static inline int32_vector column_mask(int v, std::int64_t columns) {
    int32_vector lane;
    for (int i = 0; i < lanes<float>; ++i)
        lane[i] = i;
    return lane < static_cast<std::int32_t>(columns) - v * lanes<float>;
}

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
        float_vector right[panel_vectors];
#pragma GCC unroll 4
        for (int v = 0; v < panel_vectors; ++v)
            right[v] = load(b + v * lanes<float>);
#pragma GCC unroll 24
        for (int r = 0; r < R; ++r) {
            const float_vector left = broadcast(a[r * RowStep]);
#pragma GCC unroll 4
            for (int v = 0; v < panel_vectors; ++v)
                sum[r][v] += left * right[v];
        }
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

} // namespace elbo::kernels::cpu::ELBO_SIMD
