// The objectives of docs/theory.md section 3 on a batch, and their gradients.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/vae_random.hpp"
#include "kernels/reference/vae/network.hpp"

#include <vector>

namespace elbo::kernels::reference {

/// A row with its index in the user's data, on which its noise depends.
struct numbered_row {
    std::vector<double> x;
    std::uint64_t index = 0;
};

/// One draw of z for a row and what the decoder makes of it.
struct draw_pass {
    std::vector<double> noise, z; ///< [latent]
    decoder_tape decoder;
    double log_ratio = 0; ///< ln p(z) − ln q(z|x)
};
draw_pass draw(const vae_layout& layout, const std::vector<double>& parameters, const posterior& q,
               const noise_key& key, std::uint64_t row, std::int64_t number);

/// KL( q(z|x) ‖ p(z) ) in closed form.
double kl_divergence(const posterior& q);

/// Record of a batch and, in `gradient` [layout.parameters], the gradient of the mean objective.
step_record batch_objective(const vae_layout& layout, const std::vector<double>& parameters, const vae_settings& s,
                            double beta, std::int64_t epoch, const std::vector<numbered_row>& rows,
                            std::vector<double>& gradient);

} // namespace elbo::kernels::reference
