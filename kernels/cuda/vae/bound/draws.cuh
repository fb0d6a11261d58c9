// Pairs of (row, draw), and z of them in registers.
#pragma once

#include "kernels/cuda/vae/bound/bound.hpp"
#include "kernels/cuda/vae/bound/products.cuh"
#include "kernels/cuda/vae/latent/latent.cuh"
#include "kernels/math/vae_latent.hpp"

namespace elbo::kernels::cuda {

/// What the kernel works on: some of the draws of all rows.
struct bound_kernel_arguments {
    bound_arguments of;
    int per_row, group; ///< see bound_slots
    int passes;

    __device__ __forceinline__ int dimensions() const { return static_cast<int>(of.likelihood.x.columns); }
};

struct drawn_pair {
    int row; ///< or the last one
    std::uint32_t draw;
    bool exists;

    __device__ __forceinline__ drawn_pair(const bound_kernel_arguments& p, int slot) {
        const int of = slot / p.per_row, number = slot % p.per_row;
        exists = of < p.of.rows && number < p.of.draws.count;
        row = min(of, static_cast<int>(p.of.rows) - 1);
        draw = static_cast<std::uint32_t>(p.of.draws.first + number);
    }
};

/// Four latents, and what they add to ln p(z) − ln q(z|x).
__device__ __forceinline__ float draw_four(const bound_kernel_arguments& p, const drawn_pair& pair, int block,
                                           float (&z)[4]) {
    const latent_view& v = p.of.latents;
    float noise[4], ratio = 0;
    four_normals(noise_words(p.of.noise, v.row_numbers[pair.row], pair.draw, static_cast<std::uint32_t>(block)), noise);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int l = 4 * block + i;
        z[i] = 0;
        if (l < v.latent) {
            const float log_variance = v.log_variance(pair.row, l);
            z[i] = v.heads(pair.row, l) + expf(0.5f * log_variance) * noise[i];
            ratio += latent_log_ratio(z[i], noise[i], log_variance);
        }
    }
    return ratio;
}

/// The pieces of z for one of the lane's pairs; lane t of a quad draws latents 4 t ... 4 t + 3 of every 16. They are
/// parked on the way, [step][thread], for the power of two. Returns what the lane has of ln p(z) − ln q(z|x).
template <int Steps>
__device__ __forceinline__ double draw_pair(const bound_kernel_arguments& p, const drawn_pair& pair, int row, int t,
                                            float4* parked, pair_pieces<Steps>& x) {
    const int latent = static_cast<int>(p.of.latents.latent);
    double ratio = 0;
    float most = 0;
#pragma unroll 1
    for (int s = 0; 16 * s < latent; ++s) {
        float z[4] = {};
        if (16 * s + 4 * t < latent)
            ratio += static_cast<double>(draw_four(p, pair, 4 * s + t, z));
#pragma unroll
        for (int i = 0; i < 4; ++i)
            most = fmaxf(most, ::fabsf(z[i]));
        parked[s * bound_consumers] = make_float4(z[0], z[1], z[2], z[3]);
    }
    const power_scale power = pair_scale(most);
    x.unscale[row] = power.inverse;
#pragma unroll
    for (int s = 0; s < most_bound_latents / 16; ++s) {
        float4 z = make_float4(0, 0, 0, 0);
        if (16 * s < latent)
            z = parked[s * bound_consumers];
        x.set(s, 0, row, z.x, z.y, power.scale);
        x.set(s, 1, row, z.z, z.w, power.scale);
    }
    return ratio;
}

} // namespace elbo::kernels::cuda
