// How the products of the cheap families cut a shape into operands, blocks and memory: constants of (family, d, K).
#pragma once

#include "kernels/cuda/gmm/e_step/tuning.hpp"
#include "kernels/cuda/gmm/tensor/wide_layout.hpp"
#include "kernels/math/macros.hpp"

#include <algorithm>
#include <cstdint>

namespace elbo::kernels::cuda {

// An operand is 128 lines (rows or components) of 64 terms in two fp16 pieces, of the size of the wide operands. A
// piece is core matrices of 8 lines by 8 terms, 128 contiguous bytes each: those of the same terms beside each other,
// so that lines and terms both have one step. K-major (log-densities) and N-major (sums over rows) read the same bytes.
inline constexpr int product_lines = wide_block, product_terms = wide_half;
inline constexpr int product_piece_bytes = operand_bytes / 2;
inline constexpr int line_group_bytes = 128;                                        ///< 8 lines of 8 terms
inline constexpr int term_group_bytes = product_lines / 8 * line_group_bytes;       ///< from 8 terms to the next
inline constexpr int product_half_bytes = product_lines / 2 / 8 * line_group_bytes; ///< from line 0 to line 64

/// Where row i of 16 lies among the lines of an operand: a lane that has four neighbouring rows of a sum over rows then
/// has the columns of its fragment, and one that has two rows of a product has two of four neighbouring ones.
ELBO_HD constexpr int line_of_row(int i) {
    return i % 4 / 2 * 8 + i / 4 * 2 + i % 2;
}
ELBO_HD constexpr int row_of_line(int line) {
    return line % 8 / 2 * 4 + line / 8 * 2 + line % 2;
}

inline constexpr int product_cluster = 2;   ///< blocks that share what they read
inline constexpr int product_threads = 384; ///< two warpgroups that multiply, and one that copies
inline constexpr int product_operands = 7;  ///< in shared memory
inline constexpr int range_blocks = 2;      ///< of 128 components, whose sums are one chain

/// What a row and a component are multiplied as.
enum class product_form {
    plain,   ///< x and μ_k; spherical families: u_k² (‖x‖² − 2 x·μ_k + ‖μ_k‖²)
    scaled,  ///< x and u² μ_k, beside ‖u x‖²: tied_diagonal
    squares, ///< x, x² and u_k² μ_k, −u_k² / 2: diagonal
    whitened ///< Uᵀx and Uᵀμ_k: tied, whose sums are of x
};
ELBO_HD constexpr product_form product_form_of(gmm::family f) {
    return f == gmm::family::diagonal        ? product_form::squares
           : f == gmm::family::tied          ? product_form::whitened
           : f == gmm::family::tied_diagonal ? product_form::scaled
                                             : product_form::plain;
}
/// Greatest max u_kj / min u_kj of a component where numbers are scaled: pieces keep u_kj² of all its dimensions.
inline constexpr float scaled_condition = 0x1p8f;

/// What follows from a shape.
struct product_plan {
    std::int64_t stages = 1; ///< operands of a tile of rows, and of a block of components
    std::int64_t blocks = 1, ranges = 1;
    std::int64_t units = 1; ///< of a slab
};

/// The sums take a block for each unit and 128 components: the slab is large enough for that, in 256 MB.
constexpr product_plan plan_products(const gmm_shape& s) {
    product_plan p;
    p.stages = s.family == gmm::family::diagonal ? 2 : blocks_for(s.dimensions, product_terms);
    p.blocks = blocks_for(s.components, product_lines);
    p.ranges = blocks_for(p.blocks, range_blocks);
    p.units = std::clamp<std::int64_t>((std::int64_t(256) << 20) / (4 * unit_rows * s.components), 1, 64);
    return p;
}

/// Rows and what they are whitened to, in shared memory.
constexpr std::int64_t whitened_rows_bytes(const gmm_shape& s) {
    return product_form_of(s.family) == product_form::whitened ? 2 * 4 * product_lines * tile_stride(s.dimensions) : 0;
}

/// Shared memory of the log-densities: the rows of two items and a ring; barriers of both.
inline constexpr int product_density_bytes = product_operands * (operand_bytes + 16) + 32;
/// Of the sums: a ring, of each warpgroup what its rows weigh, of two tiles, and four totals of each thread.
inline constexpr int sum_operands = product_operands - 1;
inline constexpr int row_share_bytes = 16 * product_lines;
inline constexpr int product_sum_bytes = sum_operands * (operand_bytes + 16) + 4 * row_share_bytes + 256 * 4 * 8;

} // namespace elbo::kernels::cuda
