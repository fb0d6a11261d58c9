#include "kernels/reference/vae/objective.hpp"

#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_importance.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/reference/vae/likelihood.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::reference {

namespace {

/// Forward pass of one row.
struct row_pass {
    const std::vector<double>* x = nullptr;
    network_tape encoder;
    posterior q;
    std::vector<draw_pass> draws;
    std::vector<double> log_likelihood; ///< [draws]
};

/// A batch between its forward and its backward pass.
struct batch_pass {
    std::vector<row_pass> rows;
    std::vector<double> own;     ///< of the likelihood
    std::vector<double> mean_kl; ///< [latent] over the rows
};

row_pass forward_row(const vae_layout& layout, const std::vector<double>& parameters, const noise_key& key,
                     const numbered_row& row, std::int64_t samples) {
    row_pass pass;
    pass.x = &row.x;
    pass.q = encode(layout, parameters, row.x, pass.encoder);
    for (std::int64_t s = 0; s < samples; ++s)
        pass.draws.push_back(draw(layout, parameters, pass.q, key, row.index, s));
    return pass;
}

batch_pass forward_batch(const vae_layout& layout, const std::vector<double>& parameters, const vae_settings& s,
                         std::int64_t epoch, const std::vector<numbered_row>& rows, step_record& record) {
    const noise_key key = make_noise_key(s.seed, noise_purpose::latent, epoch);
    const auto samples = static_cast<double>(s.samples);
    batch_pass batch;
    for (const numbered_row& row : rows) {
        batch.rows.push_back(forward_row(layout, parameters, key, row, s.samples));
        for (const draw_pass& draw : batch.rows.back().draws)
            record.squared_error += squared_error(layout, row.x, draw.decoder.output) / samples;
    }
    batch.own = own_numbers(layout, parameters);
    if (source_of(layout.architecture.likelihood) == vae::parameter_source::optimal) {
        record.scale = with_batch(s.scale, record.squared_error, static_cast<double>(record.rows),
                                  static_cast<double>(s.scale_window));
        batch.own = {optimal_log_variance(record.scale, layout.architecture.dimensions)};
    }
    for (row_pass& row : batch.rows)
        for (const draw_pass& draw : row.draws)
            row.log_likelihood.push_back(log_likelihood(layout, batch.own, *row.x, draw.decoder.output));
    return batch;
}

/// J with β and free bits, summed over the rows.
double elbo_objective(const batch_pass& batch, double reconstruction, double beta, double free_bits) {
    double kl = 0;
    for (double of_unit : batch.mean_kl)
        kl += std::max(free_bits, of_unit);
    return reconstruction - beta * kl * static_cast<double>(batch.rows.size());
}

/// ln w_s of a row.
std::vector<double> log_weights(const row_pass& row) {
    std::vector<double> result = row.log_likelihood;
    for (std::size_t s = 0; s < result.size(); ++s)
        result[s] += row.draws[s].log_ratio;
    return result;
}

/// ln 1/S Σ_s w_s.
double log_mean_weight(const row_pass& row) {
    importance_sum sum;
    for (double log_weight : log_weights(row))
        sum.add(log_weight);
    return sum.log_mean(static_cast<std::int64_t>(row.draws.size()));
}

/// Fills the sums over rows; batch.mean_kl too.
void add_terms(const vae_settings& s, double beta, batch_pass& batch, step_record& record) {
    batch.mean_kl.assign(batch.rows.front().q.mean.size(), 0);
    for (const row_pass& row : batch.rows) {
        for (double value : row.log_likelihood)
            record.reconstruction += value / static_cast<double>(s.samples);
        for (std::size_t l = 0; l < batch.mean_kl.size(); ++l)
            batch.mean_kl[l] += unit_kl(row.q.mean[l], row.q.log_variance[l]) / static_cast<double>(record.rows);
        record.kl += kl_divergence(row.q);
        if (s.objective == vae::objective::importance)
            record.objective += log_mean_weight(row);
    }
    if (s.objective == vae::objective::elbo)
        record.objective = elbo_objective(batch, record.reconstruction, beta, s.free_bits);
}

/// Weight of each draw in the gradient of its row: 1/S, or softmax of ln w.
std::vector<double> draw_weights(const row_pass& row, vae::objective objective) {
    const auto samples = static_cast<double>(row.draws.size());
    if (objective == vae::objective::elbo)
        return std::vector<double>(row.draws.size(), 1 / samples);
    const double log_sum = log_mean_weight(row) + std::log(samples);
    std::vector<double> weights = log_weights(row);
    for (double& w : weights)
        w = std::exp(w - log_sum);
    return weights;
}

/// Squared error of a row, each draw with its weight in the gradient.
double weighted_squared_error(const vae_layout& layout, const vae_settings& s, const row_pass& row) {
    const std::vector<double> weights = draw_weights(row, s.objective);
    double sum = 0;
    for (std::size_t k = 0; k < row.draws.size(); ++k)
        sum += weights[k] * squared_error(layout, *row.x, row.draws[k].decoder.output);
    return sum;
}

/// The rule for a draw whose ∂ ln p(x|z)/∂z has been multiplied by `weight` already.
latent_rule scaled(latent_rule rule, double weight) {
    rule.prior *= weight;
    rule.path *= weight;
    rule.entropy *= weight;
    return rule;
}

/// Adds what one draw of weight `weight` gives: to the gradient of decoder and likelihood, and to that of the encoder's
/// μ and ln σ² [2·latent].
void backward_draw(const vae_layout& layout, const std::vector<double>& parameters, const latent_rule& rule,
                   const batch_pass& batch, const row_pass& row, std::size_t number, double weight,
                   double encoder_weight, std::vector<double>& encoder_gradient, std::vector<double>& gradient) {
    const draw_pass& draw = row.draws[number];
    likelihood_gradient of = log_likelihood_gradient(layout, batch.own, *row.x, draw.decoder.output);
    if (source_of(layout.architecture.likelihood) != vae::parameter_source::optimal)
        for (std::int64_t j = 0; j < layout.own_count; ++j)
            gradient[layout.own + j] += weight * of.own[j];
    for (double& g : of.output)
        g *= weight;
    const std::vector<double> of_z = decode_backward(layout, parameters, draw.decoder, of.output, gradient);
    const std::int64_t latent = layout.architecture.latent;
    for (std::int64_t l = 0; l < latent; ++l) {
        const double sigma = std::exp(0.5 * row.q.log_variance[l]);
        const auto part = draw_gradient(scaled(rule, weight), of_z[l], draw.z[l], draw.noise[l], sigma);
        encoder_gradient[l] += encoder_weight * part.mean;
        encoder_gradient[latent + l] += encoder_weight * part.log_variance;
    }
}

/// Adds the gradient of the objective of one row, times `scale`.
void backward_row(const vae_layout& layout, const std::vector<double>& parameters, const vae_settings& s,
                  const latent_rule& rule, const batch_pass& batch, const row_pass& row, double scale,
                  std::vector<double>& gradient) {
    const std::int64_t latent = layout.architecture.latent;
    const std::vector<double> weights = draw_weights(row, s.objective);
    std::vector<double> encoder_gradient(2 * latent, 0);
    for (std::size_t k = 0; k < row.draws.size(); ++k)
        backward_draw(layout, parameters, rule, batch, row, k, scale * weights[k],
                      rule.squared_weights ? weights[k] : 1.0, encoder_gradient, gradient);
    for (std::int64_t l = 0; l < latent; ++l) {
        const double kl = batch.mean_kl[l] < s.free_bits ? 0 : rule.kl;
        const auto part = kl_gradient(kl, row.q.mean[l], row.q.log_variance[l]);
        encoder_gradient[l] += scale * part.mean;
        encoder_gradient[latent + l] += scale * part.log_variance;
        encoder_gradient[latent + l] *= bounded_log_variance_slope(row.q.log_variance[l]);
    }
    backward(layout.encoder, parameters, row.encoder, encoder_gradient, gradient);
}

} // namespace

draw_pass draw(const vae_layout& layout, const std::vector<double>& parameters, const posterior& q,
               const noise_key& key, std::uint64_t row, std::int64_t number) {
    const std::int64_t latent = layout.architecture.latent;
    draw_pass pass;
    for (std::int64_t block = 0; 4 * block < latent; ++block) {
        double normals[4];
        four_normals(noise_words(key, row, static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(block)),
                     normals);
        pass.noise.insert(pass.noise.end(), normals, normals + std::min<std::int64_t>(4, latent - 4 * block));
    }
    for (std::int64_t l = 0; l < latent; ++l) {
        pass.z.push_back(q.mean[l] + std::exp(0.5 * q.log_variance[l]) * pass.noise[l]);
        pass.log_ratio += latent_log_ratio(pass.z[l], pass.noise[l], q.log_variance[l]);
    }
    decode(layout, parameters, pass.z, pass.decoder);
    return pass;
}

double kl_divergence(const posterior& q) {
    double sum = 0;
    for (std::size_t l = 0; l < q.mean.size(); ++l)
        sum += unit_kl(q.mean[l], q.log_variance[l]);
    return sum;
}

step_record batch_objective(const vae_layout& layout, const std::vector<double>& parameters, const vae_settings& s,
                            double beta, std::int64_t epoch, const std::vector<numbered_row>& rows,
                            std::vector<double>& gradient) {
    step_record record;
    record.rows = static_cast<std::int64_t>(rows.size());
    batch_pass batch = forward_batch(layout, parameters, s, epoch, rows, record);
    add_terms(s, beta, batch, record);

    gradient.assign(layout.parameters, 0);
    const latent_rule rule = make_latent_rule(s.objective, s.estimator, beta);
    for (const row_pass& row : batch.rows) {
        record.weighted_squared_error += weighted_squared_error(layout, s, row);
        backward_row(layout, parameters, s, rule, batch, row, 1 / static_cast<double>(record.rows), gradient);
    }
    double squares = 0;
    for (double g : gradient)
        squares += g * g;
    record.gradient_norm = std::sqrt(squares);
    record.not_finite = record.first_not_finite(record.gradient_norm);
    return record;
}

} // namespace elbo::kernels::reference
