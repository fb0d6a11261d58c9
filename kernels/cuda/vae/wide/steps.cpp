#include "kernels/cuda/vae/wide/steps.hpp"

#include "kernels/cuda/vae/wide/elementwise.hpp"

namespace elbo::kernels::cuda {

namespace {

/// Calls use(number) with a number of the type of the operands; of pieces, with one of the type that they come from.
template <class Use>
void with_operand(vae::training_precision precision, const Use& use) {
    if (precision == vae::training_precision::bfloat16)
        use(__nv_bfloat16());
    else
        use(float());
}

template <class T>
strip_matrix<T> strip(unsigned char* data, std::int64_t columns) {
    return {reinterpret_cast<T*>(data), columns, operand_stride(columns)};
}
template <class T>
strip_matrix<T> strip(const operand& o) {
    return {static_cast<T*>(o.data), o.columns, o.stride()};
}
strip_matrix<const float> constant_strip(const operand& o) {
    return {static_cast<const float*>(o.data), o.columns, o.stride()};
}

} // namespace

void wide_step::enqueue(const matrix_product& product) const {
    product.enqueue(*state_, memory_.handle(), memory_.blas_workspace());
}

bool wide_step::splits() const {
    return setup_.precision == vae::training_precision::float32;
}

// Forward ------------------------------------------------------------------------------------------------------------

void wide_step::take_weights(const wide_layer& l) const {
    const dense_layer& layer = *l.at.layer;
    const float* const from = vectors_.weights + layer.weights;
    const std::int64_t stride = row_stride(layer.outputs);
    wide_largest_weight(*state_, from, layer.inputs * stride, l.at.largest + of_weights);
    wide_pieces(*state_, {{{}, 1, layer.inputs},
                          {from, layer.outputs, stride},
                          pieces_in(l.at.weights, layer.inputs, layer.outputs),
                          nullptr,
                          l.at.largest + of_weights,
                          {}});
}

void wide_step::gather(const wide_layer& l, const input_arguments& a) const {
    with_operand(setup_.precision, [&](auto number) {
        using T = decltype(number);
        wide_gather<T>(
            *state_,
            {{a.step, 1, l.at.end}, a.x, bits_as_operand_, strip<T>(l.at.input, l.at.layer->inputs), a.row_numbers});
    });
}

void wide_step::take_input(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                           const operand& input) const {
    if (l.at.after_wide || !input.data)
        return;
    const strip_extent extent{step, draws, l.at.end};
    const std::int64_t inputs = l.at.layer->inputs;
    if (splits()) {
        if (!l.at.largest_before) // else the layer before has found it
            wide_largest(*state_, {extent, constant_strip(input), l.at.largest + of_input});
        wide_pieces(*state_, {extent,
                              constant_strip(input),
                              pieces_in(l.at.input, l.at.end, inputs),
                              nullptr,
                              l.at.largest + of_input,
                              {{l.at.largest + of_weights, l.at.scales + forwards}, {}}});
        return;
    }
    with_operand(setup_.precision, [&](auto number) {
        using T = decltype(number);
        wide_operand<T>(*state_, {extent, strip<T>(input), strip<T>(l.at.input, inputs), nullptr});
    });
}

void wide_step::multiply_forward(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                                 const operand& input) const {
    if (workspace_.largest && &l == &layers_.front())
        clear_async(*state_, workspace_.largest, 3 * static_cast<std::int64_t>(layers_.size()));
    if (splits())
        take_weights(l);
    take_input(l, step, draws, input);
    enqueue(l.forward);
}

void wide_step::forward(const wide_layer& l, const forward_arguments& a) const {
    multiply_forward(l, a.step, a.draws, a.input);
    const vae::activation form = l.at.layer->form;
    const std::int64_t outputs = l.at.layer->outputs;
    with_operand(a.wide ? vae::training_precision::float32 : setup_.precision, [&](auto number) {
        using T = decltype(number);
        const strip_matrix<T> product = strip<T>(workspace_.product, outputs), out = strip<T>(a.output);
        if (l.at.before_wide)
            wide_activation<T>(*state_, {{a.step, a.draws, l.at.end},
                                         product,
                                         a.layer.bias,
                                         form,
                                         strip<T>(l.at.kept, outputs).data,
                                         product.stride,
                                         strip<T>(l.next_input, outputs),
                                         0,
                                         nullptr});
        else
            wide_activation<T>(*state_, {{a.step, a.draws, l.at.rows},
                                         sizeof(T) == 4 ? out : product,
                                         a.layer.bias,
                                         form,
                                         static_cast<T*>(a.kept.data),
                                         out.stride,
                                         out,
                                         a.wide ? 0.0f : 1.0f,
                                         l.at.largest_behind});
    });
}

void wide_step::output(const wide_layer& l, const output_arguments& a) const {
    multiply_forward(l, a.step, a.draws.count, a.input);
    const bool direct = has_gradient(l, a.objective);
    with_operand(setup_.precision, [&](auto number) {
        using T = decltype(number);
        wide_output<T>(*state_,
                       {a.step, a.draws, direct ? l.at.end : l.at.rows, pass_.output, a.layer.bias, a.likelihood,
                        a.objective, !direct || keeps_gradient_,
                        bits_as_operand_ ? strip<T>(layers_.front().at.input, 0).data : nullptr,
                        direct ? strip<T>(l.at.gradient, l.at.layer->outputs) : strip_matrix<T>{}, l.at.sums, parts()});
    });
}

// Backward -----------------------------------------------------------------------------------------------------------

bool wide_step::has_gradient(const wide_layer& l, vae::objective objective) const {
    // Importance weights are known after the likelihood of whole rows.
    const bool output = l.at.decoder && l.at.last && !terms_of_rows_ && objective == vae::objective::elbo;
    return !splits() && (l.at.before_wide || output);
}

void wide_step::take_gradient(const wide_layer& l, const step_pointer& step, std::int64_t draws,
                              const operand& gradient) const {
    const strip_extent extent{step, draws, l.at.end};
    if (splits()) {
        if (!l.at.largest_behind)
            wide_largest(*state_, {extent, constant_strip(gradient), l.at.largest + of_gradient});
        wide_pieces(*state_, {extent,
                              constant_strip(gradient),
                              pieces_in(l.at.gradient, l.at.end, gradient.columns),
                              l.at.sums,
                              l.at.largest + of_gradient,
                              {{l.at.largest + of_weights, l.at.scales + backwards},
                               {l.at.largest + of_input, l.at.scales + onto_weights}}});
        return;
    }
    with_operand(setup_.precision, [&](auto number) {
        using T = decltype(number);
        wide_operand<T>(*state_, {extent, strip<T>(gradient), strip<T>(l.at.gradient, gradient.columns), l.at.sums});
    });
}

void wide_step::backward(const wide_layer& l, const backward_arguments& a) const {
    const std::int64_t draws = a.decoder ? a.draws.count : 1, inputs = l.at.layer->inputs;
    if (!has_gradient(l, a.rule.objective))
        take_gradient(l, a.step, draws, a.gradient);
    enqueue(*l.backward);
    if (l.at.first)
        return; // z has no activation
    if (!l.at.after_wide) {
        with_operand(setup_.precision, [&](auto number) {
            using T = decltype(number);
            const strip_matrix<T> to = strip<T>(a.input_gradient);
            wide_slope<T>(*state_, {{a.step, draws, l.at.rows},
                                    sizeof(T) == 4 ? to : strip<T>(workspace_.product, inputs),
                                    a.form,
                                    static_cast<const T*>(a.kept.data),
                                    a.kept.stride(),
                                    to,
                                    nullptr,
                                    l.at.largest_before});
        });
        return;
    }
    const wide_places& before = *l.before;
    unsigned char* const kept = a.form == vae::activation::identity ? nullptr : before.kept ? before.kept : l.at.input;
    with_operand(setup_.precision, [&](auto number) {
        using T = decltype(number);
        wide_slope<T>(*state_, {{a.step, draws, l.at.end},
                                strip<T>(workspace_.product, inputs),
                                a.form,
                                strip<T>(kept, inputs).data,
                                operand_stride(inputs),
                                strip<T>(before.gradient, inputs),
                                before.sums,
                                nullptr});
    });
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
            take_gradient(l, step, 1, pass_.encoder.front().gradient);
        enqueue(l.weights);
        const std::int64_t strips_of_shard = shard_rows(l.at.rows, setup_.extent.shards) / strip_rows;
        biases.tasks[tasks++] = {l.at.sums, l.at.layer->outputs, strips_of_shard, l.at.layer->bias};
        if (tasks == most_bias_tasks)
            add_biases();
    }
    add_biases();
}

} // namespace elbo::kernels::cuda
