#include "kernels/cuda/vae/wide/steps.hpp"

#include "kernels/cuda/vae/wide/elementwise.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"

#include <algorithm>
#include <type_traits>

namespace elbo::kernels::cuda {

namespace {

std::int64_t operand_bytes(vae::training_precision precision) {
    return precision == vae::training_precision::bfloat16 ? 2 : 4;
}

/// Calls use(number) with a number of the type of the operands.
template <class Use>
void with_operand(vae::training_precision precision, const Use& use) {
    if (precision == vae::training_precision::bfloat16)
        use(__nv_bfloat16());
    else
        use(float());
}

template <class T>
strip_matrix<T> operand(unsigned char* data, std::int64_t columns) {
    return {reinterpret_cast<T*>(data), columns, operand_stride(columns)};
}
template <class T>
T* numbers(unsigned char* data) {
    return reinterpret_cast<T*>(data);
}
strip_matrix<float> strip(const matrix& m) {
    return {m.data, m.columns, m.stride()};
}

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

/// The index of a layer in its half.
std::size_t index_in(const std::vector<dense_layer>& half, const dense_layer* layer) {
    return static_cast<std::size_t>(layer - half.data());
}

} // namespace

wide_step::wide_step(const state_pointer& state, const vae_layout& layout, const wide_memory& memory,
                     const pass_memory& pass, const wide_vectors& vectors, const wide_setup& setup)
    : state_(state), layout_(layout), memory_(memory), pass_(pass), vectors_(vectors), setup_(setup),
      terms_of_rows_(likelihood_of_rows(layout, true)),
      keeps_gradient_(source_of(layout.architecture.likelihood) == vae::parameter_source::learned_per_dimension &&
                      !has_own_gradients(layout)),
      workspace_(memory.carve(layout, setup.extent, operand_bytes(setup.precision))) {
    for (std::size_t i = 0; i < workspace_.layers.size(); ++i)
        layers_.push_back(make_layer(i, pass, vectors));
}

wide_layer wide_step::make_layer(std::size_t index, const pass_memory& pass, const wide_vectors& vectors) const {
    const wide_places& at = workspace_.layers[index];
    const dense_layer& layer = *at.layer;
    const bool rounds = setup_.precision == vae::training_precision::bfloat16;
    const cudaDataType type = rounds ? CUDA_R_16BF : CUDA_R_32F;
    const auto& half = at.decoder ? layout_.decoder : layout_.encoder;
    const auto& memory = at.decoder ? pass.decoder : pass.encoder;
    const std::size_t i = index_in(half, &layer);
    const std::int64_t in = layer.inputs, out = layer.outputs, shards = setup_.extent.shards;

    const void* own = rounds ? static_cast<const void*>(vectors.rounded + layer.weights)
                             : static_cast<const void*>(vectors.weights + layer.weights);
    const product_matrix weights = at.weights ? transpose_of(at.weights, type, in, out, operand_stride(out))
                                              : transpose_of(own, type, in, out, out);
    const product_matrix input = transpose_of(at.input, type, at.rows, in, operand_stride(in));
    const product_matrix gradient = transpose_of(at.gradient, type, at.rows, out, operand_stride(out));
    const auto product = [&](std::int64_t columns) {
        return transpose_of(workspace_.product, type, at.rows, columns, operand_stride(columns));
    };
    const product_matrix output = at.before_wide ? product(out) : transpose_of(memory[i].output, at.rows);

    const auto shard = [&](product_matrix m) {
        m.columns = shard_rows(at.rows, shards);
        m.distance = m.columns * m.stride;
        return m;
    };
    product_matrix weight_gradient = transpose_of(vectors.gradient + layer.weights, CUDA_R_32F, in, out, out);
    weight_gradient.distance = vectors.size;

    const blas_handle& handle = memory_.handle();
    std::optional<matrix_product> backward;
    if (!at.first || at.decoder) {
        const product_matrix to = at.after_wide ? product(in)
                                  : at.first    ? transpose_of(pass.latents.z_gradient, at.rows)
                                                : transpose_of(memory[i - 1].gradient, at.rows);
        backward.emplace(handle, setup_.precision, transposed(weights), gradient, to);
    }
    return {
        at,
        at.before_wide ? workspace_.layers[index + 1].input : nullptr,
        at.after_wide ? &workspace_.layers[index - 1] : nullptr,
        matrix_product(handle, setup_.precision, weights, input, output),
        std::move(backward),
        matrix_product(handle, setup_.precision, shard(gradient), transposed(shard(input)), weight_gradient, shards)};
}

const wide_layer* wide_step::find(const dense_layer& layer) const {
    const auto found = std::ranges::find_if(layers_, [&](const wide_layer& l) { return l.at.layer == &layer; });
    return found == layers_.end() ? nullptr : &*found;
}

void wide_step::enqueue(const matrix_product& product) const {
    product.enqueue(*state_, memory_.handle(), memory_.blas_workspace());
}

// Forward ------------------------------------------------------------------------------------------------------------

template <class T>
void wide_step::take_input(const wide_layer& l, const forward_arguments& a) const {
    const strip_extent extent{a.step, a.draws, l.at.end};
    const strip_matrix<T> input = operand<T>(l.at.input, l.at.layer->inputs);
    if (l.at.after_wide)
        return; // the layer before has written it
    if (a.input.data)
        wide_operand<T>(*state_, {extent, {a.input.data, a.input.columns, a.input.stride()}, input, nullptr});
    else
        wide_gather<T>(*state_, {extent, a.data_copy, input, a.row_numbers});
}

template <class T>
void wide_step::multiply_forward(const wide_layer& l) const {
    const dense_layer& layer = *l.at.layer;
    if (l.at.weights) {
        const T* from = nullptr;
        if constexpr (std::is_same_v<T, float>)
            from = vectors_.weights + layer.weights;
        else
            from = vectors_.rounded + layer.weights;
        wide_weights<T>(*state_, from, layer.inputs, operand<T>(l.at.weights, layer.outputs));
    }
    enqueue(l.forward);
}

template <class T>
void wide_step::forward_as(const wide_layer& l, const forward_arguments& a) const {
    take_input<T>(l, a);
    multiply_forward<T>(l);
    const dense_layer& layer = *l.at.layer;
    if (!l.at.before_wide) {
        const strip_matrix<float> output = strip(a.output);
        wide_activation<float>(*state_,
                               {{a.step, a.draws, l.at.rows}, output, a.layer.bias, layer.form, a.kept, output});
        return;
    }
    wide_activation<T>(*state_, {{a.step, a.draws, l.at.end},
                                 operand<T>(workspace_.product, layer.outputs),
                                 a.layer.bias,
                                 layer.form,
                                 numbers<T>(l.at.kept),
                                 operand<T>(static_cast<unsigned char*>(l.next_input), layer.outputs)});
}

void wide_step::forward(const wide_layer& l, const forward_arguments& a) const {
    with_operand(setup_.precision, [&](auto number) { forward_as<decltype(number)>(l, a); });
}

template <class T>
void wide_step::output_as(const wide_layer& l, const output_arguments& a) const {
    take_input<T>(l, {a.step, a.draws.count, a.layer, a.input, a.gradient, nullptr, {}, nullptr});
    multiply_forward<T>(l);
    const bool direct = has_gradient(l, a.objective);
    wide_output<T>(*state_,
                   {a.step, a.draws, direct ? l.at.end : l.at.rows, a.gradient, a.layer.bias, a.likelihood, a.objective,
                    !direct || keeps_gradient_,
                    direct ? operand<T>(l.at.gradient, l.at.layer->outputs) : strip_matrix<T>{}, l.at.sums, parts()});
}

void wide_step::output(const wide_layer& l, const output_arguments& a) const {
    with_operand(setup_.precision, [&](auto number) { output_as<decltype(number)>(l, a); });
}

// Backward -----------------------------------------------------------------------------------------------------------

bool wide_step::has_gradient(const wide_layer& l, vae::objective objective) const {
    // Importance weights are known after the likelihood of whole rows.
    const bool output = l.at.decoder && l.at.last && !terms_of_rows_ && objective == vae::objective::elbo;
    return l.at.before_wide || output;
}

template <class T>
void wide_step::take_gradient(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                              const matrix& gradient) const {
    wide_operand<T>(*state_, {{step, draws, l.at.end},
                              {gradient.data, gradient.columns, gradient.stride()},
                              operand<T>(l.at.gradient, gradient.columns),
                              l.at.sums});
}

template <class T>
void wide_step::backward_as(const wide_layer& l, const backward_arguments& a) const {
    const std::int64_t draws = a.decoder ? a.draws.count : 1;
    if (!has_gradient(l, a.rule.objective))
        take_gradient<T>(l, a.step, draws, a.gradient);
    enqueue(*l.backward);
    const std::int64_t inputs = l.at.layer->inputs;
    if (!l.at.after_wide) {
        if (l.at.first)
            return; // z has no activation
        const strip_matrix<float> to = strip(a.input_gradient);
        wide_slope<float>(*state_, {{a.step, draws, l.at.rows}, to, a.form, a.kept, to.stride, to, nullptr});
        return;
    }
    const wide_places& before = *l.before;
    unsigned char* const kept = a.form == vae::activation::identity ? nullptr : before.kept ? before.kept : l.at.input;
    wide_slope<T>(*state_, {{a.step, draws, l.at.end},
                            operand<T>(workspace_.product, inputs),
                            a.form,
                            numbers<T>(kept),
                            operand_stride(inputs),
                            operand<T>(before.gradient, inputs),
                            before.sums});
}

void wide_step::backward(const wide_layer& l, const backward_arguments& a) const {
    with_operand(setup_.precision, [&](auto number) { backward_as<decltype(number)>(l, a); });
}

void wide_step::weight_gradients(const step_pointer& step) const {
    bias_arguments biases{step, {}, vectors_.gradient, vectors_.size};
    std::int64_t tasks = 0;
    const auto add_biases = [&] {
        if (tasks > 0)
            wide_biases(*state_, biases, tasks, setup_.extent.shards);
        tasks = 0;
    };
    for (const wide_layer& l : layers_) {
        // Of the first layer of the encoder no other gradient is wanted, so that backward() was not there.
        if (l.at.first && !l.at.decoder && !has_gradient(l, vae::objective::elbo))
            with_operand(setup_.precision, [&](auto number) {
                take_gradient<decltype(number)>(l, step, 1, pass_.encoder.front().gradient);
            });
        enqueue(l.weights);
        biases.tasks[tasks++] = {l.at.sums, l.at.layer->outputs,
                                 shard_rows(l.at.rows, setup_.extent.shards) / strip_rows, l.at.layer->bias};
        if (tasks == most_bias_tasks)
            add_biases();
    }
    add_biases();
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
