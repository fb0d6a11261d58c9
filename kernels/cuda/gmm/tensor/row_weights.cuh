// What the moments take from the row rule.
#pragma once

namespace elbo::kernels::cuda {

/// What the row rule says of a row: r_k = 2^(lp_k − most) / Σ for lp_k >= most − Θ, √(w r_k) = 2^((lp_k − most) / 2) ·
/// root. The bounds of |z|: log2 of root · max |x_i|, and of root.
struct row_weights {
    float most, root, reach, log_root;
};

/// e where `most` is the largest max (log2 √(w r) |x|, log2 √(w r) |μ|): log2 (a + b) <= max (log2 a, log2 b) + 1.
/// Powers whose squares times sums stay within a float.
__device__ __forceinline__ int exponent_below(float most) {
    return most > -200 ? min(max(14 - __float2int_ru(most), -110), 40) : 0;
}

} // namespace elbo::kernels::cuda
