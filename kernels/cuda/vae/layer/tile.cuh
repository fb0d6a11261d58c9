// Tiles of matrix products: C (tile_m x tile_n) += A (tile_m x depth) B (depth x tile_n) by one block, with loaders
// that fetch pieces of A and B, and three kinds of arithmetic. Sums run over the depth in ascending order.
#pragma once

#include "kernels/cuda/vae/layer/dense.hpp"

#include <cstdint>
#include <type_traits>

namespace elbo::kernels::cuda {

inline constexpr int tile_m = 32, tile_n = 64, tile_depth = 16, tile_threads = 128;
// 8 modulo 32: the fragments of mma.sync (4 depths x 8 rows) touch all banks once.
inline constexpr int tile_a_stride = tile_m + 8, tile_b_stride = tile_n + 8;

inline constexpr int tile_c_stride = tile_n + 4;

/// Two stages of both factors in shared memory, depth first; in the end the product.
union tile_memory {
    struct {
        alignas(16) float a[2][tile_depth][tile_a_stride];
        alignas(16) float b[2][tile_depth][tile_b_stride];
    };
    alignas(16) float c[tile_m][tile_c_stride];
};

/// The part of a tile that is wanted.
struct tile_extent {
    std::int64_t rows, columns;
};

/// 4 x 4 numbers of C a thread.
struct float32_math {
    using weight = float;
    float sum[4][4] = {};

    __device__ static int row() { return static_cast<int>(threadIdx.x) / 16 * 4; }
    __device__ static int column() { return static_cast<int>(threadIdx.x) % 16 * 4; }

    __device__ void add(const float (*a)[tile_a_stride], const float (*b)[tile_b_stride], const tile_extent&) {
#pragma unroll
        for (int k = 0; k < tile_depth; ++k) {
            const float4 u = *reinterpret_cast<const float4*>(&a[k][row()]);
            const float4 v = *reinterpret_cast<const float4*>(&b[k][column()]);
            const float left[] = {u.x, u.y, u.z, u.w}, right[] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
        }
    }
    __device__ void store(float (*c)[tile_c_stride]) const {
#pragma unroll
        for (int i = 0; i < 4; ++i)
            *reinterpret_cast<float4*>(&c[row() + i][column()]) = {sum[i][0], sum[i][1], sum[i][2], sum[i][3]};
    }
};

/// mma.sync: four warps of 16 x 32 each, as four fragments of 16 x 8, of which those outside the matrix are left out.
struct tensor_math {
    float sum[4][4] = {};

    __device__ static int group() { return static_cast<int>(threadIdx.x) % 32 / 4; }
    __device__ static int lane() { return static_cast<int>(threadIdx.x) % 4; }
    __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 64 * 16; }
    __device__ static int first_column() { return static_cast<int>(threadIdx.x) / 32 % 2 * 32; }
    __device__ static int row(int i) { return first_row() + group() + 8 * i; }
    __device__ void store(float (*c)[tile_c_stride]) const {
#pragma unroll
        for (int f = 0; f < 4; ++f)
#pragma unroll
            for (int i = 0; i < 2; ++i)
                *reinterpret_cast<float2*>(&c[row(i)][first_column() + 8 * f + 2 * lane()]) = {sum[f][2 * i],
                                                                                               sum[f][2 * i + 1]};
    }
};

/// Factors with 10 bits of fraction, rounded to nearest.
struct tf32_math : tensor_math {
    using weight = float;

    __device__ static std::uint32_t round(float v) {
        std::uint32_t bits;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
        return bits;
    }
    __device__ void add(const float (*a)[tile_a_stride], const float (*b)[tile_b_stride], const tile_extent& wanted) {
        if (first_row() >= wanted.rows)
            return;
#pragma unroll
        for (int k = lane(); k < tile_depth; k += 8) {
            const std::uint32_t a0 = round(a[k][row(0)]), a1 = round(a[k][row(1)]);
            const std::uint32_t a2 = round(a[k + 4][row(0)]), a3 = round(a[k + 4][row(1)]);
#pragma unroll
            for (int f = 0; f < 4 && first_column() + 8 * f < wanted.columns; ++f) {
                const int column = first_column() + 8 * f + group();
                const std::uint32_t b0 = round(b[k][column]), b1 = round(b[k + 4][column]);
                float* c = sum[f];
                asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                    "{%0,%1,%2,%3};"
                    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                    : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
            }
        }
    }
};

/// Factors with 7 bits of fraction, rounded to nearest; weights are kept in this form beside the float32 ones.
struct bfloat16_math : tensor_math {
    using weight = __nv_bfloat16;

    /// Two neighbours along the depth, the first in the low half.
    __device__ static std::uint32_t pack(float low, float high) {
        std::uint32_t bits;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
        return bits;
    }
    __device__ void add(const float (*a)[tile_a_stride], const float (*b)[tile_b_stride], const tile_extent& wanted) {
        if (first_row() >= wanted.rows)
            return;
        static_assert(tile_depth == 16);
        const int k = 2 * lane();
        const std::uint32_t a0 = pack(a[k][row(0)], a[k + 1][row(0)]), a1 = pack(a[k][row(1)], a[k + 1][row(1)]);
        const std::uint32_t a2 = pack(a[k + 8][row(0)], a[k + 9][row(0)]);
        const std::uint32_t a3 = pack(a[k + 8][row(1)], a[k + 9][row(1)]);
#pragma unroll
        for (int f = 0; f < 4 && first_column() + 8 * f < wanted.columns; ++f) {
            const int column = first_column() + 8 * f + group();
            const std::uint32_t b0 = pack(b[k][column], b[k + 1][column]);
            const std::uint32_t b1 = pack(b[k + 8][column], b[k + 9][column]);
            float* c = sum[f];
            asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                "{%0,%1,%2,%3};"
                : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
        }
    }
};

/// Calls work(math) with the arithmetic of a precision.
template <class Work>
void with_math(vae::training_precision precision, const Work& work) {
    switch (precision) {
    case vae::training_precision::float32:
        return work(float32_math{});
    case vae::training_precision::tf32:
        return work(tf32_math{});
    case vae::training_precision::bfloat16:
        return work(bfloat16_math{});
    }
}

// Loaders: load(k) fetches a piece that begins at depth k into registers, store() puts it into shared memory.
// Everything outside the matrix is 0.

/// A = rows of a matrix, whose columns are the depth: four of them a thread.
class matrix_rows {
public:
    __device__ matrix_rows(const matrix& m, std::int64_t first, std::int64_t rows) : limit_(m.stride()) {
        const std::int64_t row = first + threadIdx.x / 4;
        row_ = row < rows ? m.data + row * m.stride() : nullptr;
    }
    __device__ void load(std::int64_t k) {
        const std::int64_t at = k + 4 * (threadIdx.x % 4);
        piece_ = row_ && at < limit_ ? *reinterpret_cast<const float4*>(row_ + at) : float4{0, 0, 0, 0};
    }
    __device__ void store(float (*a)[tile_a_stride]) const { put(a, piece_); }

    /// Stores a thread's four numbers along the depth.
    __device__ static void put(float (*a)[tile_a_stride], const float4& piece) {
        float(*at)[tile_a_stride] = a + 4 * (threadIdx.x % 4);
        const int row = static_cast<int>(threadIdx.x) / 4;
        at[0][row] = piece.x;
        at[1][row] = piece.y;
        at[2][row] = piece.z;
        at[3][row] = piece.w;
    }

private:
    const float* row_;
    std::int64_t limit_;
    float4 piece_;
};

/// A = transpose of a matrix with a column of ones behind its last: the depth are its rows first ... last − 1.
class transposed_rows_and_ones {
public:
    __device__ transposed_rows_and_ones(const matrix& m, std::int64_t first_column, std::int64_t first,
                                        std::int64_t last)
        : m_(m), column_(first_column + 4 * (threadIdx.x % 8)), first_(first + threadIdx.x / 8), last_(last) {}
    __device__ void load(std::int64_t k) {
        const std::int64_t row = first_ + k;
        piece_ = {0, 0, 0, 0};
        if (row >= last_)
            return;
        if (column_ < m_.stride())
            piece_ = *reinterpret_cast<const float4*>(m_.data + row * m_.stride() + column_);
        switch (m_.columns - column_) {
        case 0:
            piece_.x = 1;
            break;
        case 1:
            piece_.y = 1;
            break;
        case 2:
            piece_.z = 1;
            break;
        case 3:
            piece_.w = 1;
            break;
        }
    }
    __device__ void store(float (*a)[tile_a_stride]) const {
        *reinterpret_cast<float4*>(&a[threadIdx.x / 8][4 * (threadIdx.x % 8)]) = piece_;
    }

private:
    matrix m_;
    std::int64_t column_, first_, last_;
    float4 piece_;
};

/// B = rows first ... last − 1 of a padded matrix, from a column on.
class matrix_columns {
public:
    __device__ matrix_columns(const matrix& m, std::int64_t first_column, std::int64_t first, std::int64_t last)
        : m_(m), column_(first_column + 4 * (threadIdx.x % 16)), first_(first + threadIdx.x / 16), last_(last) {}
    __device__ void load(std::int64_t k) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const std::int64_t row = first_ + k + 8 * i;
            piece_[i] = row < last_ && column_ < m_.stride()
                            ? *reinterpret_cast<const float4*>(m_.data + row * m_.stride() + column_)
                            : float4{0, 0, 0, 0};
        }
    }
    __device__ void store(float (*b)[tile_b_stride]) const {
#pragma unroll
        for (int i = 0; i < 2; ++i)
            *reinterpret_cast<float4*>(&b[threadIdx.x / 16 + 8 * i][4 * (threadIdx.x % 16)]) = piece_[i];
    }

private:
    matrix m_;
    std::int64_t column_, first_, last_;
    float4 piece_[2];
};

/// B = weights [inputs x outputs] from a column on, the depth are the inputs; transposed from an input on, the depth
/// are the outputs. Not padded in the flat vector.
template <bool Transposed, class Weight>
class weight_pieces {
public:
    __device__ weight_pieces(const Weight* w, std::int64_t inputs, std::int64_t outputs, std::int64_t first)
        : w_(w), inputs_(inputs), outputs_(outputs), first_(first) {}
    __device__ void load(std::int64_t k) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const std::int64_t along = k + depth(i), across = first_ + column(i);
            const std::int64_t input = Transposed ? across : along, output = Transposed ? along : across;
            piece_[i] = input < inputs_ && output < outputs_ ? static_cast<float>(w_[input * outputs_ + output]) : 0.0f;
        }
    }
    __device__ void store(float (*b)[tile_b_stride]) const {
#pragma unroll
        for (int i = 0; i < 8; ++i)
            b[depth(i)][column(i)] = piece_[i];
    }

private:
    /// Neighbouring threads read neighbouring outputs.
    __device__ static int depth(int i) {
        const int thread = static_cast<int>(threadIdx.x);
        return Transposed ? thread % tile_depth : thread / tile_n + 2 * i;
    }
    __device__ static int column(int i) {
        const int thread = static_cast<int>(threadIdx.x);
        return Transposed ? thread / tile_depth + 8 * i : thread % tile_n;
    }

    const Weight* w_;
    std::int64_t inputs_, outputs_, first_;
    float piece_[8];
};
template <class Math, bool Transposed = false>
using weights_for = weight_pieces<Transposed, typename Math::weight>;

/// The product over `depth`, to memory.c. Loads of the next piece run while this one is multiplied.
template <class Math, class A, class B>
__device__ void multiply(tile_memory& memory, A& a, B& b, std::int64_t depth, const tile_extent& wanted) {
    Math math;
    a.load(0);
    b.load(0);
    a.store(memory.a[0]);
    b.store(memory.b[0]);
    __syncthreads();
    int stage = 0;
    for (std::int64_t k = 0; k < depth; k += tile_depth, stage ^= 1) {
        const bool more = k + tile_depth < depth;
        if (more) {
            a.load(k + tile_depth);
            b.load(k + tile_depth);
        }
        math.add(memory.a[stage], memory.b[stage], wanted);
        if (more) {
            a.store(memory.a[stage ^ 1]);
            b.store(memory.b[stage ^ 1]);
        }
        __syncthreads();
    }
    math.store(memory.c);
    __syncthreads();
}

/// Calls f(row, column, value) for the numbers of the product.
template <class F>
__device__ void for_each_product(const tile_memory& memory, F f) {
#pragma unroll 1
    for (int e = threadIdx.x; e < tile_m * tile_n; e += tile_threads)
        f(e / tile_n, e % tile_n, memory.c[e / tile_n][e % tile_n]);
}

/// The weights in the form that the products of `Math` take.
template <class Math>
__device__ const typename Math::weight* weights_of(const layer_view& layer) {
    if constexpr (std::is_same_v<typename Math::weight, float>)
        return layer.weights;
    else
        return layer.rounded;
}

} // namespace elbo::kernels::cuda
