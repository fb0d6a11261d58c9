#include "kernels/cuda/vae/wide/memory.hpp"

#include "kernels/math/vae_activation.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

/// Rows of weights in the flat vector begin at multiples of 16 bytes, whatever the operands.
bool is_aligned(const dense_layer& layer) {
    return layer.weights % 8 == 0 && layer.outputs % 8 == 0;
}

/// The wide layers of one half, without their memory.
void add_wide(const internal::wide_limits& limits, const std::vector<dense_layer>& layers, bool decoder,
              std::int64_t rows, std::int64_t shards, std::vector<wide_places>& to) {
    const auto wide = [&](std::size_t i) {
        return i < layers.size() && is_wide(limits, layers[i].inputs, layers[i].outputs, rows);
    };
    for (std::size_t i = 0; i < layers.size(); ++i)
        if (wide(i))
            to.push_back({&layers[i], decoder, i == 0, i + 1 == layers.size(), i > 0 && wide(i - 1), wide(i + 1), rows,
                          operand_rows(rows, shards), nullptr, nullptr, nullptr, nullptr, nullptr});
}

/// Operands first: their sizes are multiples of 1024 bytes.
void take_memory(std::vector<wide_places>& layers, std::int64_t number_bytes, carver& from) {
    const auto take = [&](std::int64_t rows, std::int64_t columns) {
        return from.take<unsigned char>(number_bytes * rows * operand_stride(columns));
    };
    for (wide_places& l : layers) {
        l.input = take(l.end, l.layer->inputs);
        l.gradient = take(l.end, l.layer->outputs);
    }
    for (wide_places& l : layers) {
        if (l.before_wide && slope_needs_input(l.layer->form))
            l.kept = take(l.rows, l.layer->outputs);
        if (!is_aligned(*l.layer))
            l.weights = take(l.layer->inputs, l.layer->outputs);
    }
    for (wide_places& l : layers)
        l.sums = from.take<float>(l.end / strip_rows * l.layer->outputs);
}

} // namespace

wide_workspace carve_wide(const internal::wide_limits& limits, const vae_layout& l, const wide_extent& e,
                          std::int64_t number_bytes, carver& from) {
    wide_workspace w;
    add_wide(limits, l.encoder, false, e.rows, e.shards, w.layers);
    add_wide(limits, l.decoder, true, e.rows * e.samples, e.shards, w.layers);
    std::int64_t product = 0;
    for (const wide_places& layer : w.layers) {
        if (layer.before_wide)
            product = std::max(product, layer.rows * operand_stride(layer.layer->outputs));
        if (layer.decoder && layer.last) {
            const std::int64_t parts = blocks_for(layer.layer->outputs, strip_columns);
            w.parts = {from.take<double>(parts * layer.rows), from.take<double>(parts * layer.rows), parts, layer.rows};
        }
    }
    w.product = from.take<unsigned char>(number_bytes * product);
    take_memory(w.layers, number_bytes, from);
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
    carver count(nullptr);
    const bool any = !carve_wide(limits, l, most, 4, count).layers.empty();
    return any ? blas_workspace_bytes + count.used() : 0;
}

wide_workspace wide_memory::carve(const vae_layout& l, const wide_extent& e, std::int64_t number_bytes) const {
    if (!memory_.data())
        return {};
    carver from(memory_.data() + blas_workspace_bytes);
    return carve_wide(limits_, l, e, number_bytes, from);
}

} // namespace elbo::kernels::cuda
