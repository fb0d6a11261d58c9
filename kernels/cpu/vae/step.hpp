// One training step: objective and gradient of a batch, and the optimiser.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/cpu/vae/pass.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_importance.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace elbo::kernels::cpu {

/// What a step is to do.
struct step_task {
    const vae_settings& settings;
    double beta = 1;
    double learning_rate = 0;
    std::int64_t epoch = 0;
    bool moves = true; ///< else the gradient alone
};

class training_step {
public:
    training_step(const vae_network& network, vae_parameters& parameters)
        : network_(network), layout_(network.layout), p_(parameters) {}

    /// Bytes for batches of so many rows and draws.
    static std::int64_t bytes(const vae_layout& layout, const vae_parameters& p, std::int64_t batch,
                              std::int64_t samples) {
        panel_arena arena;
        encoder_pass encoder;
        decoder_pass decoder;
        place(arena, layout, p, batch, samples, encoder, decoder);
        return aligned_array<float>::bytes(arena.used) + 16 * batch + batch * samples * (32 + 16 * decoder.groups);
    }

    void reserve(std::int64_t batch, std::int64_t samples) {
        memory_ = aligned_array<float>(); // before, so that both are never held
        memory_ =
            allocate_panels([&](panel_arena& arena) { place(arena, layout_, p_, batch, samples, encoder_, decoder_); });
        const std::int64_t panels = panels_of(layout_.architecture.dimensions);
        unit_kl_weight_ = aligned_array<float>(panels_of(layout_.architecture.latent) * panel_width);
        weights_.resize(batch * samples);
        column_sums_.resize(panels * panel_width);
    }

    /// Objective and gradient of the rows of `source` and, where the task says so and all is finite, one step of the
    /// optimiser. On `threads` threads; the result does not depend on them.
    step_record run(const step_task& task, const row_source& source, int threads) {
        team_ = {threads};
        prepare(task, source);
        forward(task, source);
        finish_forward(task);
        backward(task);
        for_tasks(team_, std::ssize(tasks_), [&](std::int64_t i) { squares_[i] = take_gradient(tasks_[i]); });
        finish_gradient(task);
        if (task.moves && record_.not_finite == step_record::term::none) {
            for_tasks(team_, std::ssize(tasks_), [&](std::int64_t i) { move(tasks_[i]); });
            move_numbers(p_.extras, p_.extra_count, false);
            ++steps;
        }
        return record_;
    }

    std::int64_t steps = 0; ///< done

private:
    /// A piece of the gradient: weights and biases of one output panel of a layer, whose weights lie side by side.
    struct gradient_task {
        const stored_layer* layer;
        std::int64_t output_panel;
        panel_matrix input, delta;
        std::int64_t rows;
    };

    bool has_squared_error() const {
        return facts_of(layout_.architecture.likelihood.family).second == second_sum::squared_error;
    }

    /// Whether Σ weight · (∂ ln p/∂ mean)² of each column is wanted.
    bool sums_squares() const {
        return has_squared_error() &&
               source_of(layout_.architecture.likelihood) == vae::parameter_source::learned_per_dimension;
    }

    /// Lays out the memory of a step.
    static void place(panel_arena& arena, const vae_layout& layout, const vae_parameters& p, std::int64_t batch,
                      std::int64_t samples, encoder_pass& encoder, decoder_pass& decoder) {
        encoder.place(arena, layout, p, batch, true);
        decoder.place(arena, layout, p, batch * samples, true);
    }

    void prepare(const step_task& task, const row_source& source) {
        const vae_settings& s = task.settings;
        record_ = {};
        record_.rows = encoder_.rows = source.rows();
        samples_ = s.samples;
        decoder_.rows = encoder_.rows * samples_;
        for (std::int64_t i = 0; i < decoder_.rows; ++i) {
            decoder_.row[i] = static_cast<std::int32_t>(i / samples_);
            decoder_.draw[i] = static_cast<std::int32_t>(i % samples_);
        }
        const auto epoch = static_cast<std::uint64_t>(task.epoch);
        latent_key_ = make_noise_key(s.seed, noise_purpose::latent, epoch);
        binarization_key_ = make_noise_key(s.seed, noise_purpose::binarization, epoch);
        // The optimal σ² goes by the batch, too, and is known after the forward pass alone: until then it is 1.
        own_ = has_optimal_scale(layout_) ? std::vector<double>{0.0} : own_numbers(layout_, p_);
        form_.clear();
        form_.emplace_back(layout_, own_);
        average_decay_ = static_cast<float>(s.average_decay);
        one_minus_decay_ = static_cast<float>(1 - s.average_decay);
        list_gradient_tasks();
    }

    void forward(const step_task& task, const row_source& source) {
        network_.encode(team_, p_, source, 0, task.settings.binarize ? &binarization_key_ : nullptr, encoder_);
        const target_view target = encoder_.target(decoder_);
        const draw_view draws{decoder_.noise, decoder_.z, decoder_.log_ratio.data()};
        for_rows(team_, decoder_.rows, [&](std::int64_t first, std::int64_t last) {
            network_.kernels.draw(encoder_.latent(layout_), target, latent_key_, draws, first, last);
        });
        const float scale = weighs_rows(task) ? 1.0f : 1.0f / static_cast<float>(samples_);
        network_.decode_and_score(team_, p_, form_.front(), target, scale, decoder_);
    }

    void finish_forward(const step_task& task) {
        const auto samples = static_cast<double>(samples_);
        if (has_squared_error())
            for (std::int64_t i = 0; i < decoder_.rows; ++i)
                record_.squared_error += decoder_.sum(decoder_.second, i) / samples;
        if (has_optimal_scale(layout_)) {
            const vae_settings& s = task.settings;
            record_.scale = with_batch(s.scale, record_.squared_error, static_cast<double>(record_.rows),
                                       static_cast<double>(s.scale_window));
            own_ = {optimal_log_variance(record_.scale, layout_.architecture.dimensions)};
            form_.front() = likelihood_form(layout_, own_);
        }
        weigh_draws(task);
        sum_divergences(task);
        std::ranges::fill(column_sums_, 0.0);
    }

    /// Sums of the reconstruction and of the importance objective, and the weights of the draws in the gradient.
    void weigh_draws(const step_task& task) {
        const bool importance = task.settings.objective == vae::objective::importance;
        const bool squares = has_squared_error();
        const auto samples = static_cast<double>(samples_);
        for (std::int64_t n = 0; n < encoder_.rows; ++n) {
            importance_sum sum;
            double* const weights = weights_.data() + n * samples_;
            for (std::int64_t s = 0; s < samples_; ++s) {
                const double value = value_of(n * samples_ + s);
                record_.reconstruction += value / samples;
                weights[s] = value + decoder_.log_ratio[n * samples_ + s];
                if (importance)
                    sum.add(weights[s]);
            }
            if (importance)
                record_.objective += sum.log_mean(samples_);
            const double log_sum = sum.largest + std::log(sum.sum);
            for (std::int64_t s = 0; s < samples_; ++s) {
                weights[s] = importance ? std::exp(weights[s] - log_sum) : 1 / samples;
                if (squares)
                    record_.weighted_squared_error += weights[s] * decoder_.sum(decoder_.second, n * samples_ + s);
            }
        }
    }

    /// Sums of the KL divergence, with β and free bits where they are in the objective.
    void sum_divergences(const step_task& task) {
        const vae_settings& s = task.settings;
        const latent_rule rule = make_latent_rule(s.objective, s.estimator, task.beta);
        for (std::int64_t n = 0; n < encoder_.rows; ++n)
            record_.kl += encoder_.kl[n];
        double counted = s.free_bits > 0 ? 0 : record_.kl;
        const auto rows = static_cast<double>(record_.rows);
        for (std::int64_t l = 0; l < layout_.architecture.latent; ++l) {
            unit_kl_weight_[l] = static_cast<float>(rule.kl);
            if (!(s.free_bits > 0))
                continue;
            const std::int64_t panel = l / panel_width, lane = l % panel_width;
            double kl = 0;
            for (std::int64_t n = 0; n < encoder_.rows; ++n)
                kl += unit_kl<double>(encoder_.network.out.back().at(panel, n)[lane],
                                      encoder_.log_variance.at(panel, n)[lane]);
            counted += std::max(s.free_bits * rows, kl);
            if (kl / rows < s.free_bits)
                unit_kl_weight_[l] = 0;
        }
        if (s.objective == vae::objective::elbo)
            record_.objective = record_.reconstruction - task.beta * counted;
    }

    void backward(const step_task& task) {
        const vae_settings& s = task.settings;
        if (weighs_rows(task)) {
            const float factor = has_optimal_scale(layout_) ? static_cast<float>(std::exp(-own_[0])) : 1.0f;
            const bool wants_sums = sums_squares();
            for_tasks(team_, panels_of(layout_.architecture.dimensions), [&](std::int64_t p) {
                network_.kernels.weigh(decoder_.output.at(p, 0), weights_.data(), factor, decoder_.rows,
                                       wants_sums ? column_sums_.data() + p * panel_width : nullptr);
            });
        }
        network_.decode_backward(team_, p_, decoder_);
        const latent_rule rule = make_latent_rule(s.objective, s.estimator, task.beta);
        const draw_view draws{decoder_.noise, decoder_.z, nullptr};
        const latent_gradient_view gradient{
            rule,     decoder_.z_gradient,          weights_.data(), unit_kl_weight_.data(),
            samples_, encoder_.network.delta.back()};
        for_rows(team_, encoder_.rows, [&](std::int64_t first, std::int64_t last) {
            network_.kernels.latent_gradient(encoder_.latent(layout_), draws, gradient, first, last);
        });
        network_.backward(team_, p_, p_.encoder, encoder_.network, encoder_.rows, {});
    }

    void list_gradient_tasks() {
        tasks_.clear();
        const auto add = [&](const std::vector<stored_layer>& layers, const network_memory& memory,
                             const panel_matrix& first_input, std::int64_t rows) {
            for (std::size_t l = 0; l < layers.size(); ++l)
                for (std::int64_t panel = 0; panel < layers[l].output_panels; ++panel)
                    tasks_.push_back(
                        {&layers[l], panel, l == 0 ? first_input : memory.out[l - 1], memory.delta[l], rows});
        };
        add(p_.decoder, decoder_.network, decoder_.z, decoder_.rows);
        add(p_.encoder, encoder_.network, encoder_.input, encoder_.rows);
        squares_.assign(tasks_.size(), 0.0);
    }

    /// Gradient of a task's parameters and the sum of its squares.
    double take_gradient(const gradient_task& task) {
        const stored_layer& layer = *task.layer;
        const float scale = 1.0f / static_cast<float>(record_.rows);
        const float* const delta = task.delta.at(task.output_panel, 0);
        double squares = network_.kernels.bias_gradient(
            delta, task.rows, scale, p_.gradient.data() + layer.bias + task.output_panel * panel_width);
        for (std::int64_t i = 0; i < layer.input_panels; ++i)
            squares += network_.kernels.weight_gradient(task.input.at(i, 0), delta, task.rows, scale,
                                                        p_.gradient.data() + layer.block(i, task.output_panel));
        return squares;
    }

    void finish_gradient(const step_task& task) {
        double squares = extra_gradient();
        for (double part : squares_)
            squares += part;
        record_.gradient_norm = std::sqrt(squares);
        record_.not_finite = record_.first_not_finite(record_.gradient_norm);
        const vae::optimizer& o = task.settings.optimizer;
        optimizer_ =
            make_optimizer_step<float>(o, task.learning_rate, steps, clip_factor(record_.gradient_norm, o.clip_norm));
        const bool moves = task.moves && record_.not_finite == step_record::term::none;
        if (moves && task.settings.average_decay > 0 && p_.average.size() == 0) {
            p_.average = aligned_array<float>(p_.size());
            std::copy_n(p_.values.data(), p_.size(), p_.average.data());
        }
    }

    /// Gradient of the sphere and of the likelihood's own parameters; returns the sum of its squares.
    double extra_gradient() {
        const vae::architecture& a = layout_.architecture;
        const auto rows = static_cast<double>(record_.rows);
        float* const extra = p_.gradient.data() + p_.extras - p_.first_extra;
        if (a.decoder_form == vae::decoder_kind::sphere) {
            double radius = 0;
            for (std::int64_t i = 0; i < decoder_.rows; ++i)
                radius += decoder_.along[i];
            extra[layout_.sphere_radius] = static_cast<float>(radius / rows);
            alignas(64) float centre[panel_width];
            for (std::int64_t j = 0; j < a.dimensions; ++j) {
                if (j % panel_width == 0)
                    network_.kernels.bias_gradient(decoder_.output.at(j / panel_width, 0), decoder_.rows,
                                                   static_cast<float>(1 / rows), centre);
                extra[layout_.sphere_centre + j] = centre[j % panel_width];
            }
        }
        if (layout_.own_count > 0 && !has_optimal_scale(layout_))
            own_gradient(extra + layout_.own);
        double squares = 0;
        for (std::int64_t i = p_.extras; i < p_.extras + p_.extra_count; ++i)
            squares += static_cast<double>(p_.gradient[i]) * p_.gradient[i];
        return squares;
    }

    void move(const gradient_task& task) {
        const stored_layer& layer = *task.layer;
        move_numbers(layer.bias + task.output_panel * panel_width, panel_width, false);
        move_numbers(layer.block(0, task.output_panel), layer.input_panels * panel_width * panel_width, true);
        for (std::int64_t i = 0; i < layer.input_panels; ++i)
            p_.transpose_block(layer, i, task.output_panel);
    }

    void move_numbers(std::int64_t first, std::int64_t count, bool is_weight) {
        const parameter_view view{p_.values.data() + first,
                                  p_.gradient.data() + first,
                                  p_.first_moment.data() + first,
                                  p_.second_moment.data() + first,
                                  p_.average.size() > 0 && average_decay_ > 0 ? p_.average.data() + first : nullptr,
                                  is_weight,
                                  average_decay_,
                                  one_minus_decay_};
        network_.kernels.optimize(optimizer_, view, count);
    }

    /// Σ weight · derivative of the likelihood's own parameters, over the rows; of σ from the squares that are there
    /// already.
    void own_gradient(float* out) {
        const auto rows = static_cast<double>(record_.rows);
        const bool squares = has_squared_error();
        double total_weight = 0, scaled = 0; // Σ weight, and Σ weight · (x − mean)²/σ² or · derivative
        for (std::int64_t i = 0; i < decoder_.rows; ++i) {
            total_weight += weights_[i];
            scaled += weights_[i] * (squares ? -2 * decoder_.sum(decoder_.value, i) : decoder_.sum(decoder_.second, i));
        }
        const auto gradient_of = [&](double sum, double count) {
            return static_cast<float>((squares ? 0.5 * (sum - count * total_weight) : sum) / rows);
        };
        if (source_of(layout_.architecture.likelihood) == vae::parameter_source::learned) {
            *out = gradient_of(scaled, static_cast<double>(layout_.architecture.dimensions));
            return;
        }
        for (std::int64_t j = 0; j < layout_.own_count; ++j) {
            double sum = squares ? column_sums_[j] * std::exp(own_[j]) : 0;
            for (std::int64_t i = 0; !squares && i < decoder_.rows; ++i)
                sum += weights_[i] * static_cast<double>(decoder_.own_gradient.at(j / panel_width, i)[j % panel_width]);
            out[j] = gradient_of(sum, 1);
        }
    }

    /// Whether the gradient of the outputs is multiplied row by row once the whole batch is known.
    bool weighs_rows(const step_task& task) const {
        return task.settings.objective == vae::objective::importance || has_optimal_scale(layout_) || sums_squares();
    }
    /// log p(x|z) of a decoder row.
    double value_of(std::int64_t pair) const {
        if (!has_optimal_scale(layout_))
            return decoder_.sum(decoder_.value, pair) + form_.front().constant;
        const double square = decoder_.sum(decoder_.second, pair);
        return form_.front().constant - 0.5 * square * std::exp(-own_[0]);
    }

    const vae_network& network_;
    const vae_layout& layout_;
    vae_parameters& p_;
    team team_;
    std::int64_t samples_ = 1;
    aligned_array<float> memory_, unit_kl_weight_;
    encoder_pass encoder_;
    decoder_pass decoder_;
    std::vector<gradient_task> tasks_;
    std::vector<double> squares_;       ///< of the gradient, a task each
    std::vector<double> weights_;       ///< of each decoder row: 1/S or the normalised importance weight
    std::vector<double> column_sums_;   ///< [panels · 16] Σ weight · (∂ ln p/∂ mean)², or of own gradients
    std::vector<double> own_;           ///< parameters of the likelihood
    std::vector<likelihood_form> form_; ///< one while a step runs
    noise_key latent_key_{}, binarization_key_{};
    optimizer_step<float> optimizer_{};
    float average_decay_ = 0, one_minus_decay_ = 1;
    step_record record_;
};

} // namespace elbo::kernels::cpu
