// The passes of k-means over the rows; compiled once for each instruction set. Lanes are rows, and each distance is
// summed in the order of the dimensions with fused multiply-adds, as in kernels/math/kmeans.hpp: the same bits. (No
// function of that header is called here: the linker could take this file's copy of it for other machines.)
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/core/fused.hpp"
#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/core/tiling.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

namespace {

/// A tile of distances in registers: rows in vectors, times centres.
constexpr int tile_vectors = vector_registers == 32 ? 4 : 2;
constexpr int tile_centres = 4;
constexpr int tile_rows = tile_vectors * lanes<double>;
static_assert(kmeans_lanes % tile_rows == 0);

/// Squared distances of tile_rows rows to C centres `d` apart.
template <int C>
struct distance_tile {
    double_vector sum[C][tile_vectors];

    distance_tile(const double* x, const double* centres, std::int64_t d) : sum{} {
        for (std::int64_t j = 0; j < d; ++j) {
            double_vector rows[tile_vectors];
            for (int v = 0; v < tile_vectors; ++v)
                rows[v] = load(x + j * kmeans_lanes + v * lanes<double>);
            for (int c = 0; c < C; ++c)
                for (int v = 0; v < tile_vectors; ++v) {
                    const double_vector step = rows[v] - centres[c * d + j];
                    sum[c][v] = fused(step, step, sum[c][v]);
                }
        }
    }
};

/// Calls work(strip, first lane) for the tiles of a block.
template <class Work>
void for_tiles(const kmeans_block& b, const Work& work) {
    for (std::int64_t s = 0; s < b.strips; ++s)
        for (std::int64_t i = 0; i < kmeans_lanes; i += tile_rows)
            work(s, i);
}

std::int64_t assign(const kmeans_block& b, const double* centres, std::int64_t k) {
    std::int64_t changed = 0;
    for_tiles(b, [&](std::int64_t s, std::int64_t i) {
        const double* x = b.x + s * b.cols * kmeans_lanes + i;
        double_vector best[tile_vectors];
        int64_vector label[tile_vectors];
        for (int v = 0; v < tile_vectors; ++v)
            best[v] = double_vector{} + __builtin_inf(), label[v] = int64_vector{};
        in_groups<tile_centres>(k, [&]<int C>(std::int64_t first) {
            const distance_tile<C> tile(x, centres + first * b.cols, b.cols);
            for (int c = 0; c < C; ++c)
                for (int v = 0; v < tile_vectors; ++v) {
                    const int64_vector nearer = tile.sum[c][v] < best[v];
                    best[v] = nearer ? tile.sum[c][v] : best[v];
                    label[v] = nearer ? int64_vector{} + (first + c) : label[v];
                }
        });
        for (int v = 0; v < tile_vectors; ++v) {
            const std::int64_t at = s * kmeans_lanes + i + v * lanes<double>;
            store(b.nearest + at, best[v]);
            for (int l = 0; l < lanes<double>; ++l) {
                const auto now = static_cast<std::int32_t>(label[v][l]);
                changed += b.labels[at + l] != now && b.weights[at + l] > 0;
                b.labels[at + l] = now;
            }
        }
    });
    return changed;
}

void potentials(const kmeans_block& b, const double* centres, std::int64_t count, double* sums) {
    for (std::int64_t i = 0; i < count * kmeans_lanes; ++i)
        sums[i] = 0;
    for_tiles(b, [&](std::int64_t s, std::int64_t i) {
        const double* x = b.x + s * b.cols * kmeans_lanes + i;
        in_groups<tile_centres>(count, [&]<int C>(std::int64_t first) {
            const distance_tile<C> tile(x, centres + first * b.cols, b.cols);
            for (int c = 0; c < C; ++c)
                for (int v = 0; v < tile_vectors; ++v) {
                    const std::int64_t lane = i + v * lanes<double>, at = s * kmeans_lanes + lane;
                    const double_vector nearest = load(b.nearest + at), distance = tile.sum[c][v];
                    double* sum = sums + (first + c) * kmeans_lanes + lane;
                    store(sum, fused(load(b.weights + at), distance < nearest ? distance : nearest, load(sum)));
                }
        });
    });
}

void add_centre(const kmeans_block& b, const double* centre, std::int32_t label, double* sums) {
    for (std::int64_t i = 0; i < kmeans_lanes; ++i)
        sums[i] = 0;
    for_tiles(b, [&](std::int64_t s, std::int64_t i) {
        const distance_tile<1> tile(b.x + s * b.cols * kmeans_lanes + i, centre, b.cols);
        for (int v = 0; v < tile_vectors; ++v) {
            const std::int64_t lane = i + v * lanes<double>, at = s * kmeans_lanes + lane;
            const double_vector before = load(b.nearest + at);
            const int64_vector nearer = tile.sum[0][v] < before;
            const double_vector nearest = nearer ? tile.sum[0][v] : before;
            store(b.nearest + at, nearest);
            for (unsigned bits = mask_bits(nearer); bits != 0; bits &= bits - 1) // few, after the first centres
                b.labels[at + __builtin_ctz(bits)] = label;
            store(sums + lane, fused(load(b.weights + at), nearest, load(sums + lane)));
        }
    });
}

void sum_rows(const double* x, const double* weights, std::int64_t cols, const std::int64_t* rows, std::int64_t count,
              double* sums) {
    for (std::int64_t j = 0; j < cols; ++j)
        sums[j] = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        const double* row = x + rows[i] * cols;
        const double w = weights[rows[i]];
        for (std::int64_t j = 0; j < cols; ++j)
            sums[j] = fused(w, row[j], sums[j]);
    }
}

} // namespace

const kmeans_table kmeans_kernels = {assign, potentials, add_centre, sum_rows};

} // namespace elbo::kernels::cpu::ELBO_SIMD
