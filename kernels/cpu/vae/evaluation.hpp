// Evaluation: rows in chunks through the encoder, then their draws in blocks through the decoder. A row's results are
// the same in whatever chunk and block it lies.
#pragma once

#include "kernels/cpu/vae/pass.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_importance.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::kernels::cpu {

/// What is known of one draw.
struct scored_draw {
    double log_likelihood, log_ratio, squared_error;
};

/// Its memory grows to the largest call and stays.
class vae_inference {
public:
    vae_inference(const vae_network& network, const vae_parameters& parameters, int threads)
        : network_(network), p_(parameters), threads_(threads) {}

    /// To be called when the parameters have changed.
    void forget_likelihood() { form_.reset(); }

    /// Bytes that any of the operations takes at most.
    static std::int64_t bytes(const vae_layout& layout, const vae_parameters& p, int threads) {
        panel_arena chunk, block;
        encoder_pass().place(chunk, layout, p, chunk_rows, false);
        decoder_pass().place(block, layout, p, block_rows, false);
        return aligned_array<float>::bytes(chunk.used + threads * block.used) +
               kept_draws * static_cast<std::int64_t>(sizeof(scored_draw));
    }

    void encode(const row_source& source, matrix_view<float> mean, matrix_view<float> log_variance) {
        for (std::int64_t first = 0; first < source.rows(); first += chunk_rows) {
            encode_chunk(source, first, {});
            copy_posterior(first, mean.data, mean.stride, log_variance.data, log_variance.stride);
        }
    }
    void decode(const any_matrix_view& z, matrix_view<float> out) {
        const vae_layout& layout = network_.layout;
        const resident_rows none;
        const row_source source(none, {z, 0, 0, z.rows, 0});
        const std::int64_t blocks = (z.rows + block_rows - 1) / block_rows;
        const std::int64_t panels = panels_of(layout.architecture.dimensions);
        const likelihood_form& form = this->form();
        want_workers(std::min(block_rows, z.rows));
        parallel_for(threads_, blocks, [&](std::int64_t b, int member) {
            decoder_pass& pass = workers_[member];
            const std::int64_t first = b * block_rows;
            pass.rows = std::min(block_rows, z.rows - first);
            for (std::int64_t r = 0; r < pass.rows; ++r)
                network_.kernels.expand(source.row(first + r), z.cols, nullptr, 0, pass.z.at(0, r), pass.z.stride);
            network_.decode({}, p_, pass);
            network_.kernels.means(form.view, pass.output, {0, pass.rows, 0, panels});
            for (std::int64_t r = 0; r < pass.rows; ++r)
                copy_row(pass.output, 0, r, layout.architecture.dimensions, out.row(first + r));
        });
    }

    void evaluate(const row_source& source, std::int64_t samples, const evaluation_noise& noise, const row_terms& out) {
        const std::int64_t latent = network_.layout.architecture.latent;
        for (std::int64_t first = 0; first < source.rows(); first += chunk_rows) {
            encode_chunk(source, first, noise);
            copy_posterior(first, out.mean, latent, out.log_variance, latent);
            if (out.kl)
                std::copy_n(encoder_.kl.begin(), encoder_.rows, out.kl + first);
            if (out.reconstruction == nullptr && out.squared_error == nullptr)
                continue;
            std::vector<double> value(encoder_.rows), square(encoder_.rows);
            for_draws(samples, noise, [&](std::int64_t r, const scored_draw* draws, std::int64_t count) {
                for (std::int64_t s = 0; s < count; ++s) {
                    value[r] += draws[s].log_likelihood;
                    square[r] += draws[s].squared_error;
                }
            });
            for (std::int64_t r = 0; r < encoder_.rows; ++r) {
                if (out.reconstruction)
                    out.reconstruction[first + r] = value[r] / static_cast<double>(samples);
                if (out.squared_error)
                    out.squared_error[first + r] = square[r] / static_cast<double>(samples);
            }
        }
    }

    void importance(const row_source& source, std::int64_t samples, const evaluation_noise& noise, double* log_bound,
                    double* effective_samples) {
        for (std::int64_t first = 0; first < source.rows(); first += chunk_rows) {
            encode_chunk(source, first, noise);
            std::vector<importance_sum> sums(encoder_.rows);
            for_draws(samples, noise, [&](std::int64_t r, const scored_draw* draws, std::int64_t count) {
                for (std::int64_t s = 0; s < count; ++s)
                    sums[r].add(draws[s].log_likelihood + draws[s].log_ratio);
            });
            for (std::int64_t r = 0; r < encoder_.rows; ++r) {
                log_bound[first + r] = sums[r].log_mean(samples);
                effective_samples[first + r] = sums[r].effective_samples();
            }
        }
    }

private:
    /// Rows of a chunk, and decoder rows of a block.
    static constexpr std::int64_t chunk_rows = 1024, block_rows = 120;
    /// Draws of a chunk that are kept at a time.
    static constexpr std::int64_t kept_draws = std::int64_t(1) << 17;

    static void copy_row(const panel_matrix& from, std::int64_t first_panel, std::int64_t row, std::int64_t columns,
                         float* to) {
        for (std::int64_t j = 0; j < columns; j += panel_width)
            std::copy_n(from.at(first_panel + j / panel_width, row), std::min(panel_width, columns - j), to + j);
    }

    /// Of the parameters.
    const likelihood_form& form() {
        if (!form_)
            form_.emplace(network_.layout, own_numbers(network_.layout, p_));
        return *form_;
    }
    /// A block of so many decoder rows for each thread.
    void want_workers(std::int64_t rows) {
        if (rows <= worker_rows_)
            return;
        worker_memory_.clear();
        workers_.resize(static_cast<std::size_t>(threads_));
        for (decoder_pass& pass : workers_)
            worker_memory_.push_back(
                allocate_panels([&](panel_arena& arena) { pass.place(arena, network_.layout, p_, rows, false); }));
        worker_rows_ = rows;
    }

    void encode_chunk(const row_source& source, std::int64_t first, const evaluation_noise& noise) {
        if (const std::int64_t capacity = std::min(chunk_rows, source.rows()); capacity > encoder_rows_) {
            encoder_memory_ = allocate_panels(
                [&](panel_arena& arena) { encoder_.place(arena, network_.layout, p_, capacity, false); });
            encoder_rows_ = capacity;
        }
        encoder_.rows = std::min(chunk_rows, source.rows() - first);
        network_.encode({threads_}, p_, source, first, noise.binarize ? &noise.binarization : nullptr, encoder_);
    }

    void copy_posterior(std::int64_t first, float* mean, std::int64_t mean_stride, float* log_variance,
                        std::int64_t log_variance_stride) const {
        const std::int64_t latent = network_.layout.architecture.latent;
        for (std::int64_t r = 0; r < encoder_.rows; ++r) {
            if (mean)
                copy_row(encoder_.network.out.back(), 0, r, latent, mean + (first + r) * mean_stride);
            if (log_variance)
                copy_row(encoder_.log_variance, 0, r, latent, log_variance + (first + r) * log_variance_stride);
        }
    }

    /// Scores all draws of the chunk; calls fold(row, draws, count) for parts of a row's draws in ascending order.
    template <class Fold>
    void for_draws(std::int64_t samples, const evaluation_noise& noise, const Fold& fold) {
        const likelihood_form& form = this->form();
        const std::int64_t most = std::max<std::int64_t>(1, kept_draws / encoder_.rows);
        scored_.resize(std::min(samples, most) * encoder_.rows);
        want_workers(std::min<std::int64_t>(block_rows, scored_.size()));
        for (std::int64_t first_draw = 0; first_draw < samples; first_draw += most) {
            const std::int64_t draws = std::min(most, samples - first_draw), count = draws * encoder_.rows;
            // No more rows in a block than every thread can have.
            const std::int64_t share = (count + 4 * threads_ - 1) / (4 * threads_);
            const std::int64_t block = std::min(block_rows, share);
            parallel_for(threads_, (count + block - 1) / block, [&](std::int64_t b, int member) {
                const std::int64_t first = b * block, last = std::min(first + block, count);
                score_block(form, noise, first_draw, draws, first, last, workers_[member]);
            });
            parallel_ranges(threads_, encoder_.rows, 16, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t r = first; r < last; ++r)
                    fold(r, scored_.data() + r * draws, draws);
            });
        }
    }

    /// Decoder rows first ... last − 1 of the chunk's rows times `draws` draws, from draw `first_draw` on.
    void score_block(const likelihood_form& form, const evaluation_noise& noise, std::int64_t first_draw,
                     std::int64_t draws, std::int64_t first, std::int64_t last, decoder_pass& pass) {
        pass.rows = last - first;
        for (std::int64_t i = 0; i < pass.rows; ++i) {
            pass.row[i] = static_cast<std::int32_t>((first + i) / draws);
            pass.draw[i] = static_cast<std::int32_t>(first_draw + (first + i) % draws);
        }
        const target_view target = encoder_.target(pass);
        network_.kernels.draw(encoder_.latent(network_.layout), target, noise.latent,
                              {pass.noise, pass.z, pass.log_ratio.data()}, 0, pass.rows);
        network_.decode_and_score({}, p_, form, target, 0, pass);
        const bool squares = facts_of(form.view.family).second == second_sum::squared_error;
        for (std::int64_t i = 0; i < pass.rows; ++i)
            scored_[first + i] = {pass.sum(pass.value, i) + form.constant, pass.log_ratio[i],
                                  squares ? pass.sum(pass.second, i) : 0};
    }

    const vae_network& network_;
    const vae_parameters& p_;
    int threads_;
    std::optional<likelihood_form> form_;
    aligned_array<float> encoder_memory_;
    encoder_pass encoder_;
    std::int64_t encoder_rows_ = 0, worker_rows_ = 0; ///< that there is memory for
    std::vector<decoder_pass> workers_;               ///< of each thread
    std::vector<aligned_array<float>> worker_memory_;
    std::vector<scored_draw> scored_;
};

} // namespace elbo::kernels::cpu
