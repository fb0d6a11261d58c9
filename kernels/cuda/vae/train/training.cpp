#include "kernels/cuda/vae/train/training.hpp"

#include "kernels/contract/phase.hpp"
#include "kernels/cuda/vae/wide/shape.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

struct task_list {
    std::vector<weight_task> weights;
    std::vector<column_task> columns;
    std::int64_t weight_blocks = 0, column_blocks = 0;
    std::array<task_count, 3> weight_counts;
};

/// Rows that memory is for, and what is wide.
struct task_extent {
    internal::wide_limits wide;
    std::int64_t rows, pairs;
};

void add_weights(task_list& list, const tile_size& tile, const dense_layer& layer, const operand& input,
                 const operand& gradient, bool decoder) {
    list.weights.push_back(
        {input, gradient, layer.weights, decoder, list.weight_blocks, blocks_for(layer.outputs, tile.columns)});
    list.weight_blocks += tiles_of(tile, layer.inputs + 1, layer.outputs);
}

void add_columns(task_list& list, column_task::kind what, std::int64_t offset, std::int64_t d) {
    list.columns.push_back({what, offset, list.column_blocks});
    list.column_blocks += blocks_for(d, column_task_width);
}

/// Those of one half that are wide, or that are not.
void add_half(task_list& list, const vae_layout& l, const pass_memory& m, bool decoder, const task_extent& e,
              bool wide) {
    const auto& layers = decoder ? l.decoder : l.encoder;
    const auto& memory = decoder ? m.decoder : m.encoder;
    for (std::size_t i = 0; i < layers.size(); ++i)
        if (is_wide(e.wide, layers[i].inputs, layers[i].outputs, decoder ? e.pairs : e.rows) == wide)
            add_weights(list, weight_tiles[choose_weight_tile(e.pairs)], layers[i],
                        i > 0     ? memory[i - 1].output
                        : decoder ? m.latents.z_operand
                                  : m.input,
                        memory[i].gradient, decoder);
}

task_list make_tasks(const vae_layout& l, const pass_memory& m, const task_extent& e) {
    task_list list;
    const auto count = [&] { return task_count{static_cast<std::int64_t>(list.weights.size()), list.weight_blocks}; };
    add_half(list, l, m, false, e, false);
    add_half(list, l, m, true, e, false);
    list.weight_counts[0] = count();
    add_half(list, l, m, false, e, true);
    list.weight_counts[1] = count();
    add_half(list, l, m, true, e, true);
    list.weight_counts[2] = count();
    const std::int64_t d = l.architecture.dimensions;
    if (l.sphere_centre >= 0)
        add_columns(list, column_task::kind::sum, l.sphere_centre, d);
    if (source_of(l.architecture.likelihood) == vae::parameter_source::learned_per_dimension)
        add_columns(list, has_own_gradients(l) ? column_task::kind::own : column_task::kind::squares, l.own, d);
    return list;
}

std::int64_t square_sum_count(const vae_layout& l, const task_list& list) {
    return std::max(list.weight_blocks + list.column_blocks + 1, blocks_for(padded(l.parameters), shard_sum_block));
}

task_list count_tasks(const vae_layout& l, const task_extent& e) {
    return make_tasks(l, carve_pass(l, e.rows, e.pairs, true, false, carver(nullptr)), e);
}

/// Parts of the sums over rows that are added up by a kernel of their own.
std::int64_t shards_of(std::int64_t pairs) {
    return choose_weight_tile(pairs) > 0 ? gradient_shards : 1;
}

} // namespace

vae_training::vae_training(const state_pointer& state, const vae_layout& layout, std::int64_t rows,
                           std::int64_t samples)
    : state_(state), layout_(layout), memory_(state, layout, rows, rows * samples, true),
      sharded_(shards_of(rows * samples) > 1),
      gradient_(state, "gradients", shards_of(rows * samples) * padded(layout.parameters)), next_(state, "a step", 1),
      wide_memory_(state, layout, {rows, samples, shards_of(rows * samples)}) {
    const task_list list = make_tasks(layout, memory_.view(), {state->wide, rows, rows * samples});
    weight_counts_ = list.weight_counts;
    column_blocks_ = list.column_blocks;
    square_sums_ = device_buffer<double>(state, "squares of gradients", square_sum_count(layout, list));
    weight_tasks_ =
        device_buffer<weight_task>(state, "gradients to compute", static_cast<std::int64_t>(list.weights.size()));
    column_tasks_ = device_buffer<column_task>(state, "columns to add", static_cast<std::int64_t>(list.columns.size()));
    copy_async(*state, weight_tasks_.data(), list.weights.data(), weight_tasks_.size());
    copy_async(*state, column_tasks_.data(), list.columns.data(), column_tasks_.size());
    // Padding, and what no task computes (an optimal ln σ², columns in shards but the first), stays 0.
    clear_async(*state, gradient_.data(), gradient_.size());
    internal::wait_for(*state); // the list is gone when this returns
}

std::int64_t vae_training::bytes(const internal::wide_limits& wide, const vae_layout& layout, std::int64_t rows,
                                 std::int64_t samples) {
    const task_list list = count_tasks(layout, {wide, rows, rows * samples});
    return pass_owner::bytes(layout, rows, rows * samples, true) +
           wide_memory::bytes(wide, layout, {rows, samples, shards_of(rows * samples)}) +
           4 * shards_of(rows * samples) * padded(layout.parameters) + 8 * square_sum_count(layout, list) +
           static_cast<std::int64_t>(sizeof(optimizer_step<float>) + list.weights.size() * sizeof(weight_task) +
                                     list.columns.size() * sizeof(column_task));
}

objective_rule vae_training::rule(const vae_settings& s) const {
    const bool importance = s.objective == vae::objective::importance;
    return {s.objective, s.estimator, importance ? 0 : s.free_bits, importance ? memory_.view().weights : nullptr};
}

const wide_step* vae_training::wide_for(const vae_network& network, const wide_setup& setup) {
    if (!wide_ || !(wide_->setup() == setup)) {
        const optimizer_view of = network.vectors();
        wide_.reset();
        wide_.emplace(state_, layout_, wide_memory_, memory_.view(setup.precision == vae::training_precision::bfloat16),
                      wide_vectors{of.parameters, of.rounded, gradient_.data(), network.size()}, setup);
    }
    return wide_->empty() ? nullptr : &*wide_;
}

std::vector<std::string> vae_training::products() const {
    return wide_ ? wide_->describe() : std::vector<std::string>();
}

likelihood_parts vae_training::parts_of(const pass& p) const {
    const bool wide = p.wide && !likelihood_of_rows(layout_, true) && p.wide->find(layout_.decoder.back());
    return wide ? p.wide->parts() : p.memory.parts;
}

const task_count& vae_training::weight_count(const pass& p) const {
    const std::int64_t least = state_->wide.rows;
    return weight_counts_[p.rows >= least ? 0 : p.rows * p.draws.all >= least ? 1 : 2];
}

void vae_training::forward(const vae_network& network, const vae_settings& s, const pass& p) const {
    const pass_memory& m = p.memory;
    network.encode(p);
    draw_latents(*state_, p.rows, p.step, p.draws, m.latents);
    if (rule(s).free_bits > 0)
        average_unit_kl(*state_, p.step, m.latents);
    network.evaluate_likelihood(p, s.objective, true);
    if (s.objective == vae::objective::importance)
        weigh_draws(*state_, p.rows,
                    {p.step, p.draws.count, parts_of(p), m.latents.log_ratios, m.weights, m.log_mean_weight, m.output});
    if (network.gradient_stays_wide(s.objective) && m.output_gradient.rounded && !layout_.decoder.empty())
        round_rows(*state_, p.rows, p.step, p.draws, m.output, m.output_gradient);
}

void vae_training::backward_one(const vae_network& network, const vae_settings& s, const pass& p, bool decoder,
                                const dense_layer& layer, const operand& gradient, const layer_memory& before,
                                bool to_heads) const {
    const backward_arguments a{p.step,
                               p.draws,
                               decoder,
                               network.view(layer),
                               gradient,
                               before.gradient,
                               before.gradient.data == p.memory.latents.z_gradient.data,
                               decoder ? layout_.decoder.front().form : layout_.encoder.front().form,
                               before.kept,
                               to_heads,
                               p.memory.latents,
                               rule(s)};
    if (const wide_layer* wide = p.wide ? p.wide->find(layer) : nullptr)
        p.wide->backward(*wide, a);
    else
        backward_layer(*state_, p.precision, {p.rows, decoder ? p.memory.pairs : p.memory.rows}, a);
}

void vae_training::backward(const vae_network& network, const vae_settings& s, const pass& p) const {
    const pass_memory& m = p.memory;
    const bool straight = s.objective == vae::objective::elbo && s.samples == 1 && !layout_.decoder.empty() &&
                          !(p.wide && p.wide->find(layout_.decoder[0]));
    for (std::size_t i = layout_.decoder.size(); i-- > 1;)
        backward_one(network, s, p, true, layout_.decoder[i], m.decoder[i].gradient, m.decoder[i - 1], false);
    if (layout_.decoder.empty())
        sphere_backward(*state_, p.rows, network.sphere(p));
    else
        backward_one(network, s, p, true, layout_.decoder[0], m.decoder[0].gradient,
                     {m.latents.z_operand, {}, {m.latents.z_gradient.data, m.latents.latent, false}}, straight);
    if (!straight)
        heads_gradients(*state_, p.rows, p.step, p.draws, m.latents, rule(s));
    for (std::size_t i = layout_.encoder.size(); i-- > 1;)
        backward_one(network, s, p, false, layout_.encoder[i], m.encoder[i].gradient, m.encoder[i - 1], false);
}

void vae_training::sum_gradients(const vae_network& network, const vae_settings& s, const pass& p) const {
    const pass_memory& m = p.memory;
    const bool importance = s.objective == vae::objective::importance;
    const task_count& count = weight_count(p);
    const vae::likelihood& form = layout_.architecture.likelihood;
    gradient_arguments a = {};
    a.step = p.step;
    a.draws = p.draws;
    a.tasks = weight_tasks_.data();
    a.task_count = count.tasks;
    a.weight_blocks = count.blocks;
    a.columns = column_tasks_.data();
    a.column_task_count = column_tasks_.size();
    a.column_blocks = column_blocks_;
    a.gradient = gradient_.data();
    a.size = network.size();
    a.sharded = sharded_;
    a.square_sums = square_sums_.data();
    a.output_gradient = m.output;
    a.likelihood = network.likelihood(m, true);
    a.parts = parts_of(p);
    a.latents = m.latents;
    a.rule = rule(s);
    a.optimizer = s.optimizer;
    a.next = next_.data();
    a.log_mean_weight = importance ? m.log_mean_weight : nullptr;
    a.along = layout_.decoder.empty() ? m.along : nullptr;
    a.radius = layout_.sphere_radius;
    a.squared_errors = facts_of(form.family).second == second_sum::squared_error;
    a.own = source_of(form) == vae::parameter_source::learned ? layout_.own : -1;
    weight_gradients(*state_, p.precision, a);
    if (p.wide)
        p.wide->weight_gradients(p.step);
    if (sharded_ || p.wide) // the library does not square what it writes
        add_shards(*state_, p.step, gradient_.data(), network.size(), sharded_ ? gradient_shards : 1,
                   square_sums_.data());
}

void vae_training::enqueue(const vae_network& network, const vae_settings& s, const step_pointer& step,
                           std::int64_t rows, bool moves) {
    const bool rounded = s.precision == vae::training_precision::bfloat16;
    const wide_step* const wide = wide_for(network, {{rows, s.samples, sharded_ ? gradient_shards : 1}, s.precision});
    const pass p{step, rows, {0, s.samples, s.samples}, s.precision, memory_.view(rounded), wide};
    in_phase("forward", [&] { forward(network, s, p); });
    in_phase("backward", [&] { backward(network, s, p); });
    in_phase("gradients", [&] { sum_gradients(network, s, p); });

    finish_arguments a = {};
    a.step = step;
    a.to = network.vectors();
    if (!rounded)
        a.to.rounded = nullptr;
    if (!(s.average_decay > 0))
        a.to.average = nullptr;
    a.gradient = gradient_.data();
    a.size = network.size();
    a.square_sums = square_sums_.data();
    a.square_sum_count =
        sharded_ || wide ? blocks_for(network.size(), shard_sum_block) : weight_count(p).blocks + column_blocks_ + 1;
    a.next = next_.data();
    a.clip_norm = s.optimizer.clip_norm;
    a.average_decay = static_cast<float>(s.average_decay);
    a.one_minus_average_decay = static_cast<float>(1 - s.average_decay);
    a.weight_edges = network.weight_edges();
    a.weight_edge_count = network.weight_edge_count();
    a.moves = moves;
    a.has_second = s.optimizer.kind != vae::optimizer_kind::sgd;
    in_phase("optimizer", [&] { finish_step(*state_, a); });
}

} // namespace elbo::kernels::cuda
