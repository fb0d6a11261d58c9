// The reference engine of variational autoencoders: float64, one thread, plain loops that read like docs/theory.md.
#include "kernels/contract/vae_engine.hpp"

#include "elbo/error.hpp"
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_optimizer.hpp"
#include "kernels/reference/vae/likelihood.hpp"
#include "kernels/reference/vae/objective.hpp"
#include "kernels/shared/vae_rows.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <new>

namespace elbo::kernels::reference {

namespace {

/// Which parameters belong to weight matrices.
std::vector<bool> weight_mask(const vae_layout& layout) {
    std::vector<bool> mask(layout.parameters, false);
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const dense_layer& layer : *layers)
            std::fill_n(mask.begin() + layer.weights, layer.inputs * layer.outputs, true);
    return mask;
}

/// Draws each x_j of a row once, with the value as probability.
void binarize_row(std::vector<double>& x, const noise_key& key, std::uint64_t row) {
    for (std::size_t j = 0; j < x.size(); ++j) {
        const philox_block words = noise_words(key, row, 0, static_cast<std::uint32_t>(j / 4));
        x[j] = binarized(words.word[j % 4], x[j]) ? 1 : 0;
    }
}

/// Resident data sets, float64 whatever their storage.
class resident_rows {
public:
    void reserve(std::int64_t dimensions, const std::vector<std::int64_t>& slots) {
        std::vector<std::vector<double>> data;
        for (std::int64_t rows : slots)
            data.emplace_back(rows * dimensions);
        d_ = dimensions;
        data_ = std::move(data);
    }

    void store(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) {
        for (std::int64_t i = 0; i < x.rows; ++i)
            std::ranges::copy(matrix_row(x, i), data_[dataset].begin() + (slot + i) * d_);
    }

    /// Row i of `rows`, resident or given.
    std::vector<double> row(const vae_rows& rows, std::int64_t i) const {
        if (rows.x.data)
            return matrix_row(rows.x, i);
        const auto first = data_[rows.dataset].begin() + (rows.slot + i) * d_;
        return {first, first + d_};
    }

private:
    std::int64_t d_ = 0;
    std::vector<std::vector<double>> data_;
};

class reference_vae final : public vae_engine {
public:
    explicit reference_vae(const vae_layout& l) : vae_engine(l), is_weight_(weight_mask(l)) {
        set_parameters(std::vector<double>(l.parameters, 0));
    }

    row_report inspect(const any_matrix_view& x) override { return inspect_rows(layout.architecture.likelihood, x); }

    std::int64_t bytes_needed(const vae_capacity& c) const override {
        std::int64_t rows = 0, units = 0;
        for (std::int64_t count : c.slots)
            rows += count;
        for (const auto* layers : {&layout.encoder, &layout.decoder})
            for (const dense_layer& layer : *layers)
                units += 2 * layer.outputs;
        const std::int64_t d = layout.architecture.dimensions;
        return 8 * (rows * d + 5 * layout.parameters + c.batch * c.samples * (units + 2 * d));
    }

    void reserve(const vae_capacity& c) override {
        try {
            data_.reserve(layout.architecture.dimensions, c.slots);
        } catch (const std::bad_alloc&) {
            throw out_of_memory(fmt::format("{} bytes of resident rows do not fit in memory", bytes_needed(c)),
                                bytes_needed(c), 0);
        }
    }

    void load(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) override {
        data_.store(dataset, slot, x);
    }

    void set_parameters(const std::vector<double>& p) override {
        const std::vector<double> zeros(p.size(), 0);
        set_optimizer({0, zeros, zeros, {}});
        parameters_ = p;
    }
    std::vector<double> parameters() override { return parameters_; }
    void set_optimizer(const optimizer_state& s) override { state_ = s; }
    optimizer_state optimizer() override { return state_; }

    std::vector<step_record> train(const vae_settings& s, const train_slice& slice) override {
        const shuffle_order order =
            make_shuffle(s.seed, static_cast<std::uint64_t>(slice.epoch), static_cast<std::uint32_t>(slice.window),
                         static_cast<std::uint64_t>(slice.window_rows));
        vae_settings now = s;
        std::vector<step_record> records;
        std::int64_t first = slice.first_position;
        for (const step_schedule& schedule : slice.steps) {
            const std::int64_t last = std::min(first + slice.batch, slice.window_rows);
            std::vector<numbered_row> batch;
            for (std::int64_t position = first; position < last; ++position) {
                const auto slot = static_cast<std::int64_t>(shuffled(order, static_cast<std::uint64_t>(position)));
                const vae_rows resident{{}, 0, slot, 1, slice.first_row + slot};
                batch.push_back(training_row(s, slice.epoch, resident, 0));
            }
            records.push_back(take_step(now, schedule, slice.epoch, batch));
            if (records.back().not_finite != step_record::term::none)
                break;
            now.scale = records.back().scale;
            first = last;
        }
        return records;
    }

    step_record train_on(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                         const vae_rows& rows) override {
        return take_step(s, step, epoch, training_rows(s, epoch, rows));
    }

    step_record gradient(const vae_settings& s, double beta, std::int64_t epoch, const vae_rows& rows,
                         std::vector<double>& out) override {
        return batch_objective(layout, parameters_, s, beta, epoch, training_rows(s, epoch, rows), out);
    }

    void evaluate(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                  const row_terms& out) override {
        const noise_key key = make_noise_key(seed, noise_purpose::evaluation_latent, 0);
        for (std::int64_t i = 0; i < rows.rows; ++i) {
            const numbered_row row = evaluation_row(rows, i, binarize, seed);
            network_tape tape;
            const posterior q = reference::encode(layout, parameters_, row.x, tape);
            const std::int64_t at = i * layout.architecture.latent;
            if (out.mean)
                store(q.mean, out.mean + at);
            if (out.log_variance)
                store(q.log_variance, out.log_variance + at);
            if (out.kl)
                out.kl[i] = kl_divergence(q);
            if (out.reconstruction || out.squared_error)
                store_draw_means(row, q, key, samples, i, out);
        }
    }

    void importance(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed, double* log_bound,
                    double* effective_samples) override {
        const noise_key key = make_noise_key(seed, noise_purpose::importance_latent, 0);
        const std::vector<double> own = own_numbers(layout, parameters_);
        for (std::int64_t i = 0; i < rows.rows; ++i) {
            const numbered_row row = evaluation_row(rows, i, binarize, seed);
            network_tape tape;
            const posterior q = reference::encode(layout, parameters_, row.x, tape);
            importance_sum sum;
            for (std::int64_t s = 0; s < samples; ++s) {
                const draw_pass pass = draw(layout, parameters_, q, key, row.index, s);
                sum.add(log_likelihood(layout, own, row.x, pass.decoder.output) + pass.log_ratio);
            }
            log_bound[i] = sum.log_mean(samples);
            effective_samples[i] = sum.effective_samples();
        }
    }

    void encode(const vae_rows& rows, matrix_view<float> mean, matrix_view<float> log_variance) override {
        for (std::int64_t i = 0; i < rows.rows; ++i) {
            network_tape tape;
            const posterior q = reference::encode(layout, parameters_, data_.row(rows, i), tape);
            store(q.mean, mean.row(i));
            store(q.log_variance, log_variance.row(i));
        }
    }

    void decode(const any_matrix_view& z, matrix_view<float> out) override {
        for (std::int64_t i = 0; i < z.rows; ++i) {
            decoder_tape tape;
            reference::decode(layout, parameters_, matrix_row(z, i), tape);
            const std::vector<double> mean = means(layout, tape.output);
            store(mean, out.row(i));
        }
    }

private:
    numbered_row training_row(const vae_settings& s, std::int64_t epoch, const vae_rows& rows, std::int64_t i) const {
        numbered_row row{data_.row(rows, i), static_cast<std::uint64_t>(rows.first_row + i)};
        if (s.binarize)
            binarize_row(row.x, make_noise_key(s.seed, noise_purpose::binarization, epoch), row.index);
        return row;
    }

    std::vector<numbered_row> training_rows(const vae_settings& s, std::int64_t epoch, const vae_rows& rows) const {
        std::vector<numbered_row> batch;
        for (std::int64_t i = 0; i < rows.rows; ++i)
            batch.push_back(training_row(s, epoch, rows, i));
        return batch;
    }

    numbered_row evaluation_row(const vae_rows& rows, std::int64_t i, bool binarize, std::uint64_t seed) const {
        numbered_row row{data_.row(rows, i), static_cast<std::uint64_t>(rows.first_row + i)};
        if (binarize)
            binarize_row(row.x, make_noise_key(seed, noise_purpose::evaluation_binarization, 0), row.index);
        return row;
    }

    static void store(const std::vector<double>& values, float* to) {
        std::ranges::transform(values, to, [](double value) { return static_cast<float>(value); });
    }

    /// Reconstruction term and squared error of row i, means over the draws.
    void store_draw_means(const numbered_row& row, const posterior& q, const noise_key& key, std::int64_t samples,
                          std::int64_t i, const row_terms& out) const {
        const std::vector<double> own = own_numbers(layout, parameters_);
        double reconstruction = 0, error = 0;
        for (std::int64_t s = 0; s < samples; ++s) {
            const draw_pass pass = draw(layout, parameters_, q, key, row.index, s);
            reconstruction += log_likelihood(layout, own, row.x, pass.decoder.output);
            error += squared_error(layout, row.x, pass.decoder.output);
        }
        if (out.reconstruction)
            out.reconstruction[i] = reconstruction / static_cast<double>(samples);
        if (out.squared_error)
            out.squared_error[i] = error / static_cast<double>(samples);
    }

    /// Gradient and, where everything is finite, one step of the optimiser.
    step_record take_step(const vae_settings& s, const step_schedule& schedule, std::int64_t epoch,
                          const std::vector<numbered_row>& batch) {
        std::vector<double> gradient;
        const step_record record = batch_objective(layout, parameters_, s, schedule.beta, epoch, batch, gradient);
        if (record.not_finite != step_record::term::none)
            return record;
        if (s.average_decay > 0 && state_.average.empty())
            state_.average = parameters_;
        const auto step = make_optimizer_step<double>(s.optimizer, schedule.learning_rate, state_.steps,
                                                      clip_factor(record.gradient_norm, s.optimizer.clip_norm));
        for (std::int64_t i = 0; i < layout.parameters; ++i) {
            parameters_[i] = optimize(step, gradient[i], is_weight_[i], parameters_[i], state_.first_moment[i],
                                      state_.second_moment[i]);
            if (s.average_decay > 0)
                state_.average[i] = averaged(s.average_decay, 1 - s.average_decay, state_.average[i], parameters_[i]);
        }
        ++state_.steps;
        return record;
    }

    std::vector<bool> is_weight_;
    std::vector<double> parameters_;
    optimizer_state state_;
    resident_rows data_;
};

} // namespace

std::unique_ptr<vae_engine> make_vae(const context&, const vae_layout& layout) {
    return std::make_unique<reference_vae>(layout);
}

} // namespace elbo::kernels::reference
