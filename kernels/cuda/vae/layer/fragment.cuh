// Pieces of factors into shared memory, fragments of them out of it, and the matrix instructions that multiply them
// (PTX ISA, sections 9.7.14.5 and 9.7.15): m16n8k16 of bfloat16 numbers, m16n8k8 of tf32 numbers.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace elbo::kernels::cuda {

/// 16 bytes, or zeros where they are not wanted; nothing is read then.
__device__ __forceinline__ void copy_piece(unsigned to, const void* from, bool wanted) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(wanted ? 16 : 0) : "memory");
}
__device__ __forceinline__ void commit_pieces() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void wait_pieces() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

template <bool Transposed>
__device__ __forceinline__ void load_matrices(std::uint32_t r[4], unsigned from) {
    if constexpr (Transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(from)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(from)
                     : "memory");
}
__device__ __forceinline__ std::uint32_t load_word(unsigned from) {
    std::uint32_t r;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(r) : "r"(from) : "memory");
    return r;
}

/// Fragments of 32 bytes of the depth. A is 16 rows: (g, l), (g + 8, l), (g, l'), (g + 8, l') of lane 4 g + l, l' in
/// the second half of the depth; B is 16 columns: (g, l), (g, l'), (g + 8, l), (g + 8, l'), the last two unused if not
/// `both`.
template <class F, class S, int Extent>
struct fragments {
    using Element = typename F::Element;
    static constexpr int stride = F::depth_major ? (Extent + 8) * static_cast<int>(sizeof(Element)) : S::Bytes + 16;
    static constexpr bool words = F::depth_major && sizeof(Element) == 4;

    __device__ static void load(std::uint32_t r[4], unsigned from, int at, int step, bool is_a, bool both) {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        // Which of the four matrices of 8 x 16 bytes a lane gives the address of.
        const int matrix = lane / 8,
                  along = is_a   ? matrix % 2
                          : both ? matrix / 2
                                 : 0,
                  deep = is_a ? matrix / 2 : matrix % 2;
        if constexpr (words) {
            const unsigned p = from + (8 * step + lane % 4) * stride + (at + lane / 4) * 4;
            const unsigned next = both ? 32 : 0;
            r[0] = load_word(p);
            r[is_a ? 2 : 1] = load_word(p + 4 * stride);
            r[is_a ? 1 : 2] = load_word(p + next);
            r[3] = load_word(p + 4 * stride + next);
        } else if constexpr (F::depth_major) {
            load_matrices<true>(r, from + (16 * step + lane % 8 + 8 * deep) * stride + (at + 8 * along) * 2);
        } else {
            load_matrices<false>(r, from + (at + lane % 8 + 8 * along) * stride + 32 * step + 16 * deep);
        }
    }
};

__device__ __forceinline__ void multiply_add(float c[4], const std::uint32_t a[4], std::uint32_t b0, std::uint32_t b1,
                                             __nv_bfloat16) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void multiply_add(float c[4], const std::uint32_t a[4], std::uint32_t b0, std::uint32_t b1,
                                             float) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ std::uint32_t to_tf32(float v) {
    std::uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return bits;
}
/// Rounds a fragment of float32 numbers; small: what is left of them, rounded, too.
template <bool Split>
__device__ __forceinline__ void round_fragment(std::uint32_t v[4], std::uint32_t small[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float value = __uint_as_float(v[i]);
        v[i] = to_tf32(value);
        if constexpr (Split)
            small[i] = to_tf32(value - __uint_as_float(v[i]));
    }
}

} // namespace elbo::kernels::cuda
