// A pass of rows through a network: memory, and the layers one after the other, on one thread or shared out among a
// team.
#pragma once

#include "kernels/cpu/vae/parameters.hpp"
#include "kernels/cpu/vae/rows.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_activation.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// Who does a pass: so many threads, which share its layers out in tasks. 0: the calling thread, which does each layer
/// as a whole, for passes of few rows that are themselves shared out.
struct team {
    int threads = 0;
};

/// Calls work(i) for 0 ≤ i < count.
template <class Work>
void for_tasks(team who, std::int64_t count, const Work& work) {
    if (who.threads > 1) {
        parallel_for(who.threads, count, [&](std::int64_t i, int) { work(i); });
        return;
    }
    for (std::int64_t i = 0; i < count; ++i)
        work(i);
}

/// Rows of data that a task expands, and decoder rows that one draws or scores.
inline constexpr std::int64_t task_rows = 8;

constexpr std::int64_t parts_of(std::int64_t count, std::int64_t size) {
    return (count + size - 1) / size;
}

/// Calls work(first, last) on parts of the rows.
template <class Work>
void for_rows(team who, std::int64_t rows, const Work& work) {
    for_tasks(who, parts_of(rows, task_rows),
              [&](std::int64_t i) { work(i * task_rows, std::min((i + 1) * task_rows, rows)); });
}

/// Rows and panels of a product cut into tasks of some ten microseconds.
class task_grid {
public:
    /// `depth`: terms of each sum; panels are cut at multiples of `unit`. One task where there is no team.
    task_grid(team who, std::int64_t rows, std::int64_t panels, std::int64_t depth, std::int64_t unit = 1)
        : rows_(rows), panels_(panels), row_parts_(1), panel_parts_(1), panels_a_part_(panels) {
        // Products of a row and a panel that make a task.
        constexpr std::int64_t task_products = 24000, small_rows = 24, large_rows = 96;
        if (who.threads == 0)
            return;
        row_parts_ = parts_of(rows, rows < 4 * large_rows ? small_rows : large_rows);
        const std::int64_t panel_work = parts_of(rows, row_parts_) * depth;
        panels_a_part_ =
            std::clamp(parts_of(task_products, panel_work * unit), std::int64_t(1), parts_of(panels, unit)) * unit;
        panel_parts_ = parts_of(panels, panels_a_part_);
    }

    std::int64_t tasks() const { return row_parts_ * panel_parts_; }
    panel_range task(std::int64_t i) const {
        const std::int64_t row_part = i / panel_parts_, panel = i % panel_parts_ * panels_a_part_;
        return {rows_ * row_part / row_parts_, rows_ * (row_part + 1) / row_parts_, panel,
                std::min(panel + panels_a_part_, panels_)};
    }

private:
    std::int64_t rows_, panels_, row_parts_, panel_parts_, panels_a_part_;
};

/// Hands out panels of one array; without one it counts.
struct panel_arena {
    float* base = nullptr;
    std::int64_t used = 0;
    panel_matrix take(std::int64_t panels, std::int64_t rows) {
        // An odd number of cache lines: panels do not share cache sets.
        const panel_matrix m{base ? base + used : nullptr, (rows | 1) * panel_width};
        used += panels * m.stride;
        return m;
    }
};

/// Memory for what place(arena) takes from an arena: first it only counts.
template <class Place>
aligned_array<float> allocate_panels(const Place& place) {
    panel_arena arena;
    place(arena);
    aligned_array<float> memory(arena.used);
    arena = {memory.data(), 0};
    place(arena);
    return memory;
}

/// Results of each layer; `sums` where the slope of the activation needs them; deltas in training alone.
struct network_memory {
    std::vector<panel_matrix> out, sums, delta;

    void place(panel_arena& arena, const std::vector<stored_layer>& layers, std::int64_t rows, bool is_decoder,
               bool training) {
        out.clear(), sums.clear(), delta.clear();
        for (const stored_layer& layer : layers) {
            const bool keep_sums = training && slope_needs_input(layer.form.form);
            out.push_back(arena.take(layer.output_panels, rows));
            sums.push_back(keep_sums ? arena.take(layer.output_panels, rows) : panel_matrix{});
            const bool is_output = is_decoder && &layer == &layers.back(); // whose gradient replaces it
            delta.push_back(is_output ? out.back() : training ? arena.take(layer.output_panels, rows) : panel_matrix{});
        }
    }

    const panel_matrix& kept(std::size_t layer) const { return sums[layer].data ? sums[layer] : out[layer]; }
};

/// Draws of z, each with its row of data: rows of the decoder.
struct decoder_pass {
    std::int64_t rows = 0, groups = 0;
    panel_matrix noise, z, z_gradient, output;
    panel_matrix own_gradient; ///< of each own parameter of the likelihood, where has_own_gradients
    network_memory network;
    std::vector<std::int32_t> row, draw;
    std::vector<double> log_ratio, along; ///< along: sphere, Σ_j ∂E/∂x_j u_j
    std::vector<double> value, second;    ///< [rows][groups]

    void place(panel_arena& arena, const vae_layout& layout, const vae_parameters& p, std::int64_t capacity,
               bool training) {
        const std::int64_t latent = panels_of(layout.architecture.latent);
        const std::int64_t panels = panels_of(layout.architecture.dimensions);
        noise = arena.take(latent, capacity);
        z = arena.take(latent, capacity);
        z_gradient = training ? arena.take(latent, capacity) : panel_matrix{};
        network.place(arena, p.decoder, capacity, true, training);
        output = p.decoder.empty() ? arena.take(panels, capacity) : network.out.back();
        own_gradient = training && has_own_gradients(layout) ? arena.take(panels, capacity) : panel_matrix{};
        groups = parts_of(panels, group_panels);
        if (arena.base == nullptr)
            return;
        for (auto* v : {&row, &draw})
            v->resize(capacity);
        for (auto* v : {&log_ratio, &along})
            v->resize(capacity);
        for (auto* v : {&value, &second})
            v->resize(capacity * groups);
    }

    double sum(const std::vector<double>& parts, std::int64_t i) const {
        double total = 0;
        for (std::int64_t g = 0; g < groups; ++g)
            total += parts[i * groups + g];
        return total;
    }
};

/// Rows of data, and q(z|x).
struct encoder_pass {
    std::int64_t rows = 0;
    panel_matrix x, log_variance, sigma;
    panel_matrix input; ///< what the encoder sees: x, or ln(1 + x)
    network_memory network;
    std::vector<std::uint64_t> index; ///< in the user's data
    std::vector<double> kl;
    std::vector<float> total; ///< sums of the rows, with likelihood.library_size

    void place(panel_arena& arena, const vae_layout& layout, const vae_parameters& p, std::int64_t capacity,
               bool training) {
        const std::int64_t latent = panels_of(layout.architecture.latent);
        x = arena.take(panels_of(layout.architecture.dimensions), capacity);
        const bool logs = layout.architecture.encoder_input == vae::encoder_input::log1p;
        input = logs ? arena.take(panels_of(layout.architecture.dimensions), capacity) : x;
        network.place(arena, p.encoder, capacity, false, training);
        log_variance = arena.take(latent, capacity);
        sigma = arena.take(latent, capacity);
        if (arena.base == nullptr)
            return;
        total.resize(layout.architecture.likelihood.library_size ? capacity : 0);
        index.resize(capacity);
        kl.resize(capacity);
    }

    latent_view latent(const vae_layout& layout) const {
        return {layout.architecture.latent, network.out.back(), log_variance, sigma};
    }
    /// What rows of the decoder are judged by.
    target_view target(const decoder_pass& draws) const {
        return {x, draws.row.data(), draws.draw.data(), index.data(), total.empty() ? nullptr : total.data()};
    }
};

/// A likelihood with its own parameters. All log p(x|z) are value sums of the kernels plus `constant`.
struct likelihood_form {
    likelihood_view view{};
    double constant = 0;
    aligned_array<float> numbers;

    /// `own`: [1] or [d], empty for likelihoods without.
    likelihood_form(const vae_layout& layout, const std::vector<double>& own) {
        const vae::architecture& a = layout.architecture;
        const std::vector<std::int64_t>& blocks = a.likelihood.blocks;
        view = {a.likelihood.family,
                a.likelihood.count_mean,
                a.dimensions,
                nullptr,
                nullptr,
                blocks.data(),
                static_cast<std::int64_t>(blocks.size())};
        if (own.empty())
            return;
        const std::int64_t padded = panels_of(a.dimensions) * panel_width;
        numbers = aligned_array<float>(2 * padded);
        view.own = numbers.data();
        view.prepared = numbers.data() + padded;
        with_likelihood(a.likelihood.family, [&](auto family) {
            for (std::int64_t j = 0; j < a.dimensions; ++j) {
                const double of_j = own[own.size() == 1 ? 0 : j];
                numbers[j] = static_cast<float>(of_j);
                numbers[padded + j] = static_cast<float>(family.prepare(of_j));
                constant += family.constant(of_j);
            }
        });
    }
};
/// The own parameters of the likelihood.
inline std::vector<double> own_numbers(const vae_layout& layout, const vae_parameters& p) {
    return kernels::own_numbers(layout.architecture.likelihood, layout.architecture.dimensions,
                                [&](std::int64_t i) { return static_cast<double>(p.extra(layout.own + i)); });
}

/// The layers of a network with its parameters.
class vae_network {
public:
    vae_network(const vae_layout& layout, const vae_table& kernels) : layout(layout), kernels(kernels) {}

    void forward(team who, const vae_parameters& p, const std::vector<stored_layer>& layers, const panel_matrix& in,
                 const network_memory& memory, std::int64_t rows, std::size_t layer_count) const {
        for (std::size_t l = 0; l < layer_count; ++l) {
            const layer_view layer = p.view(layers[l]);
            const task_grid grid(who, rows, layer.output_panels, layer.inputs);
            for_tasks(who, grid.tasks(), [&](std::int64_t i) {
                kernels.forward(layer, l == 0 ? in : memory.out[l - 1], memory.sums[l], memory.out[l], grid.task(i));
            });
        }
    }

    /// From the delta of the last layer to the deltas of the others and, if it has data, of the input.
    void backward(team who, const vae_parameters& p, const std::vector<stored_layer>& layers,
                  const network_memory& memory, std::int64_t rows, const panel_matrix& input_gradient) const {
        for (std::size_t l = layers.size(); l-- > 0;) {
            if (l == 0 && input_gradient.data == nullptr)
                break;
            const layer_view layer = p.view(layers[l]);
            const task_grid grid(who, rows, layer.input_panels, layer.output_panels * panel_width);
            for_tasks(who, grid.tasks(), [&](std::int64_t i) {
                if (l == 0)
                    kernels.backward(layer, memory.delta[0], vae::activation::identity, {}, input_gradient,
                                     grid.task(i));
                else
                    kernels.backward(layer, memory.delta[l], layers[l - 1].form.form, memory.kept(l - 1),
                                     memory.delta[l - 1], grid.task(i));
            });
        }
    }

    /// Rows into panels, encoder and q(z|x).
    void encode(team who, const vae_parameters& p, const row_source& source, std::int64_t first_row,
                const noise_key* binarization, encoder_pass& pass) const {
        for_rows(who, pass.rows, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t r = first; r < last; ++r)
                expand_row(source, first_row + r, binarization, r, pass);
            if (pass.input.data != pass.x.data)
                kernels.log_input(pass.x, pass.input, {first, last, 0, panels_of(layout.architecture.dimensions)});
        });
        forward(who, p, p.encoder, pass.input, pass.network, pass.rows, p.encoder.size());
        for_rows(who, pass.rows, [&](std::int64_t first, std::int64_t last) {
            kernels.posterior(pass.latent(layout), first, last, pass.kl.data());
        });
    }

    /// Decoder of pass.z to pass.output.
    void decode(team who, const vae_parameters& p, decoder_pass& pass) const {
        if (is_sphere())
            for_tasks(who, pass.rows, [&](std::int64_t r) { sphere_row(p, pass, r); });
        else
            forward(who, p, p.decoder, pass.z, pass.network, pass.rows, p.decoder.size());
    }
    /// The same, with log p(x|z) in pass.value and pass.square. With `scale` not 0 the output becomes its gradient.
    void decode_and_score(team who, const vae_parameters& p, const likelihood_form& form, const target_view& target,
                          float scale, decoder_pass& pass) const {
        const likelihood_sums sums{pass.value.data(), pass.second.data(), pass.groups, pass.own_gradient};
        const std::int64_t panels = panels_of(layout.architecture.dimensions);
        if (is_sphere() || facts_of(form.view.family).blocks) {
            decode(who, p, pass);
            for_rows(who, pass.rows, [&](std::int64_t first, std::int64_t last) {
                kernels.likelihood(form.view, target, pass.output, scale, sums, {first, last, 0, panels});
            });
            return;
        }
        // The last layer with its likelihood: the outputs are in the cache.
        const std::size_t last = p.decoder.size() - 1;
        forward(who, p, p.decoder, pass.z, pass.network, pass.rows, last);
        const layer_view layer = p.view(p.decoder[last]);
        const panel_matrix& in = last == 0 ? pass.z : pass.network.out[last - 1];
        const task_grid grid(who, pass.rows, panels, layer.inputs, group_panels);
        for_tasks(who, grid.tasks(), [&](std::int64_t i) {
            const panel_range range = grid.task(i);
            for (std::int64_t first = range.first_panel; first < range.last_panel; first += group_panels) {
                const panel_range group{range.first_row, range.last_row, first,
                                        std::min(first + group_panels, range.last_panel)};
                kernels.forward(layer, in, {}, pass.output, group);
                kernels.likelihood(form.view, target, pass.output, scale, sums, group);
            }
        });
    }

    /// From the gradient in pass.output to pass.z_gradient.
    void decode_backward(team who, const vae_parameters& p, decoder_pass& pass) const {
        if (is_sphere())
            for_tasks(who, pass.rows, [&](std::int64_t r) { sphere_row_backward(p, pass, r); });
        else
            backward(who, p, p.decoder, pass.network, pass.rows, pass.z_gradient);
    }

    const vae_layout& layout;
    const vae_table& kernels;

private:
    bool is_sphere() const { return layout.decoder.empty(); }

    void expand_row(const row_source& source, std::int64_t number, const noise_key* binarization, std::int64_t r,
                    encoder_pass& pass) const {
        const std::int64_t d = layout.architecture.dimensions;
        pass.index[r] = source.index(number);
        kernels.expand(source.row(number), d, binarization, pass.index[r], pass.x.at(0, r), pass.x.stride);
        if (pass.total.empty())
            return;
        double total = 0;
        for (std::int64_t p = 0; p < panels_of(d); ++p)
            for (std::int64_t i = 0; i < panel_width; ++i)
                total += static_cast<double>(pass.x.at(p, r)[i]);
        pass.total[r] = static_cast<float>(total);
    }

    /// Number j of a row of panels.
    static float& number(const panel_matrix& m, std::int64_t row, std::int64_t j) {
        return m.at(j / panel_width, row)[j % panel_width];
    }

    static float inverse_norm(const panel_matrix& z, std::int64_t row, std::int64_t d) {
        double squared_norm = 0;
        for (std::int64_t j = 0; j < d; ++j)
            squared_norm += static_cast<double>(number(z, row, j)) * number(z, row, j);
        return static_cast<float>(sphere_inverse_norm(squared_norm));
    }

    void sphere_row(const vae_parameters& p, decoder_pass& pass, std::int64_t row) const {
        const std::int64_t d = layout.architecture.dimensions;
        const float inverse = inverse_norm(pass.z, row, d), radius = p.extra(layout.sphere_radius);
        for (std::int64_t j = 0; j < d; ++j)
            number(pass.output, row, j) =
                radius * (number(pass.z, row, j) * inverse) + p.extra(layout.sphere_centre + j);
    }
    void sphere_row_backward(const vae_parameters& p, decoder_pass& pass, std::int64_t row) const {
        const std::int64_t d = layout.architecture.dimensions;
        const float inverse = inverse_norm(pass.z, row, d), radius = p.extra(layout.sphere_radius);
        double along = 0;
        for (std::int64_t j = 0; j < d; ++j)
            along += static_cast<double>(number(pass.output, row, j)) * (number(pass.z, row, j) * inverse);
        pass.along[row] = along;
        for (std::int64_t j = 0; j < d; ++j)
            number(pass.z_gradient, row, j) =
                sphere_latent_gradient(radius, inverse, number(pass.output, row, j), number(pass.z, row, j) * inverse,
                                       static_cast<float>(along));
    }
};

} // namespace elbo::kernels::cpu
