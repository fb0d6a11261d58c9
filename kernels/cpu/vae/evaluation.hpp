// Evaluation: rows in chunks through the encoder, then their draws in blocks through the decoder. A row's results are
// the same in whatever chunk and block it lies.
#pragma once

#include "kernels/cpu/vae/pass.hpp"
#include "kernels/math/vae_importance.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace elbo::kernels::cpu {

/// The streams of an evaluation.
struct inference_noise {
    noise_key latent{};
    bool binarize = false;
    noise_key binarization{};
};

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
    static std::int64_t bytes(const vae_layout& layout, const vae_parameters& p, int threads);

    void encode(const row_source& source, matrix_view<float> mean, matrix_view<float> log_variance);
    void decode(const any_matrix_view& z, matrix_view<float> out);
    void evaluate(const row_source& source, std::int64_t samples, const inference_noise& noise, const row_terms& out);
    void importance(const row_source& source, std::int64_t samples, const inference_noise& noise, double* log_bound,
                    double* effective_samples);

private:
    /// Rows of a chunk, and decoder rows of a block.
    static constexpr std::int64_t chunk_rows = 1024, block_rows = 120;
    /// Draws of a chunk that are kept at a time.
    static constexpr std::int64_t kept_draws = std::int64_t(1) << 17;

    /// Of the parameters.
    const likelihood_form& form();
    /// A block of so many decoder rows for each thread.
    void want_workers(std::int64_t rows);
    void encode_chunk(const row_source& source, std::int64_t first, const inference_noise& noise);
    void copy_posterior(std::int64_t first, float* mean, std::int64_t mean_stride, float* log_variance,
                        std::int64_t log_variance_stride) const;
    /// Scores all draws of the chunk; calls fold(row, draws, count) for parts of a row's draws in ascending order.
    template <class Fold>
    void for_draws(std::int64_t samples, const inference_noise& noise, const Fold& fold);
    void score_block(const likelihood_form& form, const inference_noise& noise, std::int64_t first_draw,
                     std::int64_t draws, std::int64_t first, std::int64_t last, decoder_pass& pass);

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
