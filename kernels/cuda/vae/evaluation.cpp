// Evaluation of networks: rows in chunks, draws in tiles, so that memory does not grow with either.
#include "kernels/cuda/vae/engine.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

/// rows x columns numbers between matrices with any strides.
void copy_matrix(const internal::cuda_state& state, float* to, std::int64_t to_stride, const float* from,
                 std::int64_t from_stride, std::int64_t columns, std::int64_t rows) {
    internal::copy_on_stream(state, to, 4 * to_stride, from, 4 * from_stride, 4 * columns, rows);
}

} // namespace

template <class Use>
void cuda_vae_engine::for_each_chunk(const vae_rows& rows, const evaluation_noise& noise, Use use) {
    const std::int64_t most = evaluation_.view().rows;
    for (std::int64_t begin = 0; begin < rows.rows; begin += most) {
        const std::int64_t count = std::min(most, rows.rows - begin);
        slice_plan plan = {};
        plan.source = prepare(rows, begin, count);
        plan.rows = plan.batch = count;
        plan.first_row = rows.first_row + begin;
        plan.latent = noise.latent;
        plan.binarization = noise.binarization;
        plan.binarize = noise.binarize;
        send_plan(plan, {step_schedule{}});
        const pass p{
            {plan_.data(), slice_.data()}, count, {0, 1, 1}, vae::training_precision::float32, evaluation_.view()};
        network_.encode(p);
        use(p, begin);
    }
}

void cuda_vae_engine::prepare_bound() {
    if (!bound_)
        return;
    std::vector<layer_view> decoder;
    for (const dense_layer& layer : network_.layout().decoder)
        decoder.push_back(network_.view(layer));
    write_bound_weights(*state_, plan_bound(layout), decoder, bound_.view());
}

void cuda_vae_engine::add_bound_draws(const pass& p, const noise_key& noise, std::int64_t samples,
                                      const row_sums& sums) {
    draw_latents(*state_, p.rows, p.step, p.draws, p.memory.latents); // for ln σ² and KL
    bound_draws(*state_,
                {plan_bound(layout),
                 bound_.view(),
                 layout.decoder.front().form,
                 noise,
                 p.memory.latents,
                 network_.likelihood(p.memory, false),
                 p.rows,
                 {0, samples, samples}},
                sums, state_->multiprocessors);
}

void cuda_vae_engine::add_all_draws(pass p, const noise_key& noise, std::int64_t samples, const row_sums& sums) {
    if (bound_)
        return add_bound_draws(p, noise, samples, sums);
    const pass_memory& m = p.memory;
    const std::int64_t at_once = std::max<std::int64_t>(1, evaluation_pairs / p.rows);
    for (std::int64_t first = 0; first < samples; first += at_once) {
        p.draws = {first, std::min(at_once, samples - first), samples};
        draw_latents(*state_, p.rows, p.step, p.draws, m.latents);
        network_.evaluate_likelihood(p, vae::objective::elbo, false);
        add_draws(*state_, p.rows, p.step, p.draws, m.parts, m.latents.log_ratios, sums);
    }
}

void cuda_vae_engine::evaluate(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                               const row_terms& out) {
    state_->activate();
    const evaluation_noise noise = make_evaluation_noise(seed, noise_purpose::evaluation_latent, binarize);
    const std::int64_t latent = layout.architecture.latent;
    const bool squares = facts_of(layout.architecture.likelihood.family).second == second_sum::squared_error;
    prepare_bound();
    for_each_chunk(rows, noise, [&](const pass& p, std::int64_t begin) {
        const pass_memory& m = p.memory;
        if (out.reconstruction || out.squared_error)
            add_all_draws(p, noise.latent, samples, {m.sums.reconstruction, m.sums.squared_error, nullptr});
        else
            draw_latents(*state_, p.rows, p.step, p.draws, m.latents); // for ln σ² and KL
        const auto copy_terms = [&](double* to, const double* from) {
            if (to)
                copy_async(*state_, to + begin, from, p.rows);
        };
        copy_terms(out.reconstruction, m.sums.reconstruction);
        if (squares)
            copy_terms(out.squared_error, m.sums.squared_error);
        copy_terms(out.kl, m.latents.kl);
        if (out.mean)
            copy_matrix(*state_, out.mean + begin * latent, latent, m.latents.heads.data, m.latents.heads.stride(),
                        latent, p.rows);
        if (out.log_variance)
            copy_matrix(*state_, out.log_variance + begin * latent, latent, m.latents.log_variance.data,
                        m.latents.log_variance.stride(), latent, p.rows);
        wait(); // the memory of the chunk is used again, and the host reads the terms
    });
    if (out.squared_error && !squares)
        std::fill_n(out.squared_error, rows.rows, 0.0);
    for (double* sums : {out.reconstruction, out.squared_error})
        for (std::int64_t n = 0; sums && n < rows.rows; ++n)
            sums[n] /= static_cast<double>(samples);
}

void cuda_vae_engine::importance(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                                 double* log_bound, double* effective_samples) {
    state_->activate();
    const evaluation_noise noise = make_evaluation_noise(seed, noise_purpose::importance_latent, binarize);
    prepare_bound();
    for_each_chunk(rows, noise, [&](const pass& p, std::int64_t begin) {
        const row_sums sums{nullptr, nullptr, p.memory.sums.weights};
        add_all_draws(p, noise.latent, samples, sums);
        std::vector<importance_sum> weights(static_cast<std::size_t>(p.rows));
        copy_async(*state_, weights.data(), sums.weights, p.rows);
        wait(); // the host reads the sums
        for (std::int64_t n = 0; n < p.rows; ++n) {
            log_bound[begin + n] = weights[static_cast<std::size_t>(n)].log_mean(samples);
            effective_samples[begin + n] = weights[static_cast<std::size_t>(n)].effective_samples();
        }
    });
}

void cuda_vae_engine::encode(const vae_rows& rows, matrix_view<float> mean, matrix_view<float> log_variance) {
    state_->activate();
    const std::int64_t latent = layout.architecture.latent;
    for_each_chunk(rows, {}, [&](const pass& p, std::int64_t begin) {
        const latent_view& v = p.memory.latents;
        draw_latents(*state_, p.rows, p.step, p.draws, v); // for ln σ²
        copy_matrix(*state_, mean.row(begin), mean.stride, v.heads.data, v.heads.stride(), latent, p.rows);
        copy_matrix(*state_, log_variance.row(begin), log_variance.stride, v.log_variance.data, v.log_variance.stride(),
                    latent, p.rows);
    });
    wait(); // the caller may use the results and free its rows
}

void cuda_vae_engine::decode(const any_matrix_view& z, matrix_view<float> out) {
    state_->activate();
    const pass_memory& m = evaluation_.view();
    for (std::int64_t begin = 0; begin < z.rows; begin += m.rows) {
        const std::int64_t count = std::min(m.rows, z.rows - begin);
        const row_source latents{m.latents.z.data, row_storage::float32, m.latents.z.stride(), z.cols};
        staging_.for_each_piece({z.slice(begin, count), {}, 1}, [&](const device_input& piece, std::int64_t first) {
            store_rows(*state_, piece.x, latents, first);
        });
        slice_plan plan = {};
        plan.rows = plan.batch = count;
        send_plan(plan, {step_schedule{}});
        network_.decode({{plan_.data(), slice_.data()}, count, {0, 1, 1}, vae::training_precision::float32, m});
        likelihood_means(*state_, network_.likelihood({}, false), m.output, count, m.x.data, m.x.stride());
        copy_matrix(*state_, out.row(begin), out.stride, m.x.data, m.x.stride(), m.x.columns, count);
    }
    wait(); // the caller may use the results and free its rows
}

} // namespace elbo::kernels::cuda
