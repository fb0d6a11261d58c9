// The products of the wide layers of a step.
#include "kernels/cuda/vae/wide/steps.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>
#include <utility>

namespace elbo::kernels::cuda {

namespace {

/// A matrix of rows of this library, which is its transpose in the order of columns.
product_matrix transpose_of(const void* data, cudaDataType type, std::int64_t rows, std::int64_t columns,
                            std::int64_t stride) {
    return {data, type, columns, rows, stride};
}
product_matrix transpose_of(const matrix& m, std::int64_t rows) {
    return transpose_of(m.data, CUDA_R_32F, rows, m.columns, m.stride());
}

product_matrix transposed(product_matrix m) {
    m.transposed = true;
    return m;
}

cudaDataType type_of(vae::training_precision precision) {
    switch (precision) {
    case vae::training_precision::bfloat16:
        return CUDA_R_16BF;
    case vae::training_precision::tf32:
        return CUDA_R_32F;
    case vae::training_precision::float32:
        break;
    }
    return CUDA_R_16F;
}

/// The factors of the products of a layer.
struct layer_factors {
    product_matrix weights, input, gradient;
};

layer_factors factors_of(const wide_places& at, const wide_vectors& vectors, vae::training_precision precision) {
    const dense_layer& layer = *at.layer;
    const std::int64_t in = layer.inputs, out = layer.outputs;
    const cudaDataType type = type_of(precision);
    const auto operand = [&](unsigned char* data, std::int64_t rows, std::int64_t count, std::int64_t columns) {
        product_matrix m = transpose_of(data, type, count, columns, operand_stride(columns));
        m.low = type == CUDA_R_16F ? pieces_in(data, rows, columns).low : nullptr;
        return m;
    };
    const void* const own = type == CUDA_R_16BF ? static_cast<const void*>(vectors.rounded + layer.weights)
                                                : static_cast<const void*>(vectors.weights + layer.weights);
    return {at.weights ? operand(at.weights, in, in, out) : transpose_of(own, type, in, out, row_stride(out)),
            operand(at.input, at.end, at.rows, in), operand(at.gradient, at.end, at.rows, out)};
}

} // namespace

wide_step::wide_step(const state_pointer& state, const vae_layout& layout, const wide_memory& memory,
                     const pass_memory& pass, const wide_vectors& vectors, const wide_setup& setup)
    : state_(state), layout_(layout), memory_(memory), pass_(pass), vectors_(vectors), setup_(setup),
      terms_of_rows_(likelihood_of_rows(layout, true)),
      keeps_gradient_(source_of(layout.architecture.likelihood) == vae::parameter_source::learned_per_dimension &&
                      !has_own_gradients(layout)),
      workspace_(memory.carve(layout, setup.extent, setup.precision)) {
    for (std::size_t i = 0; i < workspace_.layers.size(); ++i)
        layers_.push_back(make_layer(i));
    if (layers_.empty())
        return;
    const wide_places &first = layers_.front().at, &last = layers_.back().at;
    const vae::architecture& a = layout.architecture;
    const bool gathers =
        first.first && !first.decoder && a.encoder_input == vae::encoder_input::identity && !a.likelihood.library_size;
    bits_as_operand_ =
        gathers && last.decoder && last.last && !terms_of_rows_ && !splits() && !facts_of(a.likelihood.family).counts;
}

wide_layer wide_step::make_layer(std::size_t index) const {
    const wide_places& at = workspace_.layers[index];
    const dense_layer& layer = *at.layer;
    const auto& half = at.decoder ? layout_.decoder : layout_.encoder;
    const auto& memory = at.decoder ? pass_.decoder : pass_.encoder;
    const auto i = static_cast<std::size_t>(&layer - half.data());
    const std::int64_t in = layer.inputs, out = layer.outputs, shards = setup_.extent.shards;
    const blas_handle& handle = memory_.handle();
    const layer_factors f = factors_of(at, vectors_, setup_.precision);
    const auto scale = [&](int of) { return at.scales ? &at.scales[of].factor : nullptr; };
    const auto between = [&](std::int64_t columns) {
        return transpose_of(workspace_.product, type_of(setup_.precision), at.rows, columns, operand_stride(columns));
    };
    const auto shard = [&](product_matrix m) {
        m.columns = shard_rows(at.rows, shards);
        m.distance = m.columns * m.stride;
        return m;
    };

    // Of the last layer of each half float32 numbers are wanted.
    const bool rounds = setup_.precision == vae::training_precision::bfloat16;
    const product_matrix output =
        at.before_wide || (rounds && !at.last) ? between(out) : transpose_of(memory[i].output.as_matrix(), at.rows);
    std::optional<matrix_product> backward;
    if (!at.first || at.decoder) {
        const product_matrix to = at.first                  ? transpose_of(pass_.latents.z_gradient, at.rows)
                                  : at.after_wide || rounds ? between(in)
                                                            : transpose_of(memory[i - 1].gradient.as_matrix(), at.rows);
        backward.emplace(handle, setup_.precision, transposed(f.weights), f.gradient, to, 1, scale(backwards));
    }
    product_matrix sums = transpose_of(vectors_.gradient + layer.weights, CUDA_R_32F, in, out, row_stride(out));
    sums.distance = vectors_.size;
    return {at,
            at.before_wide ? workspace_.layers[index + 1].input : nullptr,
            at.after_wide ? &workspace_.layers[index - 1] : nullptr,
            matrix_product(handle, setup_.precision, f.weights, f.input, output, 1, scale(forwards)),
            std::move(backward),
            matrix_product(handle, setup_.precision, shard(f.gradient), transposed(shard(f.input)), sums, shards,
                           scale(onto_weights))};
}

const wide_layer* wide_step::find(const dense_layer& layer) const {
    const auto found =
        std::ranges::find_if(layers_, [&](const wide_layer& l) { return l.at.layer->weights == layer.weights; });
    return found == layers_.end() ? nullptr : &*found;
}

std::vector<std::string> wide_step::describe() const {
    std::vector<std::string> all;
    for (const wide_layer& l : layers_) {
        all.push_back(l.forward.describe());
        if (l.backward)
            all.push_back(l.backward->describe());
        all.push_back(l.weights.describe());
    }
    return all;
}

} // namespace elbo::kernels::cuda
