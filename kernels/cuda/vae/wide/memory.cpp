#include "kernels/cuda/vae/wide/memory.hpp"

#include "kernels/math/vae_activation.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

/// The wide layers of one half, without their memory. Pieces are made of float32 matrices, of all of which the largest
/// number is known: no layer takes its operand from another then.
void add_wide(const internal::wide_limits& limits, const std::vector<dense_layer>& layers, bool decoder,
              std::int64_t rows, const wide_extent& e, bool pieces, std::vector<wide_places>& to) {
    const auto wide = [&](std::size_t i) {
        return i < layers.size() && is_wide(limits, layers[i].inputs, layers[i].outputs, rows);
    };
    for (std::size_t i = 0; i < layers.size(); ++i)
        if (wide(i))
            to.push_back({&layers[i], decoder, i == 0, i + 1 == layers.size(), !pieces && i > 0 && wide(i - 1),
                          !pieces && wide(i + 1), rows, operand_rows(rows, e.shards)});
}

/// Operands first: their sizes are multiples of 1024 bytes.
void take_memory(std::vector<wide_places>& layers, vae::training_precision precision, carver& from) {
    const bool pieces = precision == vae::training_precision::float32;
    const auto take = [&](std::int64_t rows, std::int64_t columns) {
        return from.take<unsigned char>(operand_bytes(precision) * rows * operand_stride(columns));
    };
    for (wide_places& l : layers) {
        l.input = take(l.end, l.layer->inputs);
        l.gradient = take(l.end, l.layer->outputs);
    }
    for (wide_places& l : layers) {
        if (l.before_wide && slope_needs_input(l.layer->form))
            l.kept = take(l.rows, l.layer->outputs);
        if (pieces)
            l.weights = take(l.layer->inputs, l.layer->outputs);
    }
    for (wide_places& l : layers)
        l.sums = from.take<float>(l.end / strip_rows * l.layer->outputs);
}

void place_scales(std::vector<wide_places>& layers, largest_bits* largest, product_scale* scales) {
    for (wide_places& l : layers) {
        l.largest = largest;
        l.scales = scales;
        largest += 3;
        scales += 3;
    }
    for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
        wide_places &before = layers[i], &behind = layers[i + 1];
        if (before.decoder != behind.decoder || before.layer + 1 != behind.layer)
            continue;
        before.largest_behind = behind.largest + of_input;
        behind.largest_before = before.largest + of_gradient;
    }
}

} // namespace

wide_workspace carve_wide(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& e,
                          vae::training_precision precision, carver& from) {
    const bool pieces = precision == vae::training_precision::float32;
    wide_workspace w;
    add_wide(limits, l.encoder, false, e.rows, e, pieces, w.layers);
    add_wide(limits, l.decoder, true, e.rows * e.samples, e, pieces, w.layers);
    std::int64_t product = 0;
    for (const wide_places& layer : w.layers) {
        // float32 products take the place of what they become, unless that is an operand of a wide layer.
        if (layer.before_wide || layer.after_wide || precision == vae::training_precision::bfloat16)
            product =
                std::max(product, layer.rows * operand_stride(std::max(layer.layer->inputs, layer.layer->outputs)));
        if (layer.decoder && layer.last) {
            const std::int64_t parts = blocks_for(layer.layer->outputs, strip_columns);
            w.parts = {from.take<double>(parts * layer.rows), from.take<double>(parts * layer.rows), parts, layer.rows};
        }
    }
    w.product = from.take<unsigned char>(operand_bytes(precision) * product);
    take_memory(w.layers, precision, from);
    if (pieces) {
        const auto count = static_cast<std::int64_t>(w.layers.size());
        w.largest = from.take<largest_bits>(3 * count);
        product_scale* const scales = from.take<product_scale>(3 * count);
        if (w.largest)
            place_scales(w.layers, w.largest, scales);
    }
    return w;
}

wide_memory::wide_memory(const state_pointer& state, const vae_layout& l, const wide_extent& most)
    : limits_(state->wide) {
    const std::int64_t size = bytes(limits_, l, most);
    if (size == 0)
        return;
    handle_ = make_blas_handle();
    memory_ = device_buffer<unsigned char>(state, "wide layers", size);
}

std::int64_t wide_memory::bytes(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& most) {
    using enum vae::training_precision;
    std::int64_t largest = 0; // what precision steps will have is not known yet
    for (vae::training_precision precision : {float32, tf32, bfloat16}) {
        carver count(nullptr);
        if (!carve_wide(limits, l, most, precision, count).layers.empty())
            largest = std::max(largest, blas_workspace_bytes + count.used());
    }
    return largest;
}

wide_workspace wide_memory::carve(const vae_layout& l, const wide_extent& e, vae::training_precision precision) const {
    if (!memory_.data())
        return {};
    carver from(memory_.data() + blas_workspace_bytes);
    return carve_wide(limits_, l, e, precision, from);
}

} // namespace elbo::kernels::cuda
