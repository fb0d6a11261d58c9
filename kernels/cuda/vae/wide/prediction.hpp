// What a training step of a network of wide layers alone costs: operations, bytes and launches by plain formulas, and
// the time that they should take, for an ELBO whose likelihood is not one of blocks. Of the network
// 784-1024-1024-(128)-1024-1024-784 on an H200, in microseconds (low and high):
//
//   batch       512            2048            8192
//   bfloat16    86 to 126      193 to 233      461 to 501
//   tf32        115 to 155     265 to 305      791 to 830
//   float32     202 to 309     541 to 647      1354 to 1461
//
// Low: what moves bytes at 4.27 TB/s, products at the rate measured for 8192^3 in whole waves of tiles, 0.52 us a
// kernel in a graph. High: 1.1 us more a kernel, an estimate, for what begins and ends between two of them.
#pragma once

#include "kernels/cuda/vae/wide/memory.hpp"
#include "kernels/math/vae_activation.hpp"

namespace elbo::kernels::cuda {

struct wide_counts {
    double operations = 0;            ///< of products
    double product_seconds = 0;       ///< of products alone, each by operations or by bytes
    double elementwise = 0;           ///< bytes of the kernels of this folder
    double others = 0;                ///< bytes of latents, sums of shards and the optimiser
    double products = 0, kernels = 0; ///< launches
};

/// The products of a layer: forward, backward and of weights.
inline void count_products(const wide_places& l, const wide_extent& e, vae::training_precision p,
                           const wide_rates& rates, wide_counts& c) {
    const double rows = static_cast<double>(l.rows), in = static_cast<double>(l.layer->inputs),
                 out = static_cast<double>(l.layer->outputs), shards = static_cast<double>(e.shards);
    const bool pieces = p == vae::training_precision::float32;
    const double times = pieces ? 3 : 1, size = p == vae::training_precision::tf32 ? 4 : 2;
    // Of pieces a product is written, and twice read and written.
    const auto add = [&](double m, double n, double depth, double count, double result) {
        const double bytes = times * size * count * (m * depth + depth * n) + (2 * times - 1) * result * count * m * n;
        c.operations += times * 2 * m * n * depth * count;
        c.product_seconds += times * product_seconds(m, n, depth, count, bytes / times, rates.operations(p), rates);
        c.products += times;
    };
    add(rows, out, in, 1, l.before_wide ? size : 4);
    if (!l.first || l.decoder)
        add(rows, in, out, 1, l.after_wide ? size : 4);
    add(in, out, rows / shards, shards, 4);
}

/// The kernels of this folder for a layer. A number of a float32 matrix in pieces: 4 bytes for the largest, where no
/// wide layer has found it, 4 + 4 to split it.
inline void count_elementwise(const wide_places& l, vae::training_precision p, wide_counts& c) {
    const double rows = static_cast<double>(l.rows), in = static_cast<double>(l.layer->inputs),
                 out = static_cast<double>(l.layer->outputs), end = static_cast<double>(l.end);
    const auto stride = [](std::int64_t columns) { return static_cast<double>(operand_stride(columns)); };
    const double in_stride = stride(l.layer->inputs), out_stride = stride(l.layer->outputs);
    const bool pieces = p == vae::training_precision::float32, data = l.first && !l.decoder, last = l.decoder && l.last;
    const double size = static_cast<double>(operand_bytes(p)), matrix = pieces ? 4 : size;
    const double kept = slope_needs_input(l.layer->form) ? 1 : 0,
                 slope = l.layer->form == vae::activation::identity ? 0 : 1;
    const auto add = [&](double bytes, double kernels = 1) {
        c.elementwise += bytes;
        c.kernels += kernels;
    };
    // Input: bits to an operand (or float32), z and what comes from float32 matrices to operands.
    if (data)
        add(pieces ? 0 : rows * in / 8 + size * end * in_stride);
    if (pieces || (!l.after_wide && !data))
        add((pieces && l.first ? 8 : matrix) * rows * in + size * end * in_stride, pieces && l.first ? 2 : 1);
    if (pieces)
        add(12 * in * out, 2); // weights
    // Output: product, bias and what becomes of it.
    if (last)
        add(rows * out * (pieces ? 12 : 4 + size) +
            (pieces ? 0 : size * end * out_stride + 4 * out * end / strip_rows));
    else if (l.before_wide)
        add(size * (rows * out * (1 + kept) + end * out_stride));
    else
        add(rows * out * (8 + 4 * kept));
    // Gradient of the output: from the slope of the layer behind, or from a float32 matrix; sums of its columns.
    const double sums = 4 * out * end / strip_rows;
    if (l.before_wide)
        add(size * (rows * out * (1 + slope) + end * out_stride) + sums);
    if (pieces && !l.last)
        add(rows * out * (8 + 4 * slope));
    if (pieces || (l.last && !l.decoder))
        add((pieces && l.last ? 8 : matrix) * rows * out + size * end * out_stride + sums, pieces && l.last ? 2 : 1);
    c.elementwise += sums; // read by one kernel for all layers
}

inline wide_counts count_wide_step(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& e,
                                   vae::training_precision p, const wide_rates& rates = {}) {
    carver none(nullptr);
    const wide_workspace w = carve_wide(limits, l, e, p, none);
    wide_counts c;
    for (const wide_places& layer : w.layers) {
        count_products(layer, e, p, rates, c);
        count_elementwise(layer, p, c);
    }
    const double latent = static_cast<double>(l.architecture.latent * e.rows),
                 parameters = static_cast<double>(l.parameters);
    const double shards = static_cast<double>(e.shards), rows = static_cast<double>(e.rows);
    const double gathered =
        p == vae::training_precision::float32 ? 4 * rows * static_cast<double>(l.architecture.dimensions) : 0;
    c.others = gathered + latent * (16 + 28) + parameters * (4 * shards + (e.shards > 1 ? 4 : 0)) +
               parameters * (p == vae::training_precision::bfloat16 ? 30 : 28);
    // Biases; draw, gradients of the heads, terms of the step, sums of shards and the optimiser; pieces: largest to 0.
    c.kernels += 1 + 5 + (p == vae::training_precision::float32 ? 1 : 0);
    return c;
}

/// Seconds.
struct wide_prediction {
    double low, high;
};
inline wide_prediction predict_wide_step(const wide_counts& c, const wide_rates& rates = {}) {
    const double launches = c.products + c.kernels;
    const double low = c.product_seconds + (c.elementwise + c.others) / rates.copy + launches * rates.node;
    return {low, low + launches * rates.ramp};
}

} // namespace elbo::kernels::cuda
