// Where the parameters of a network lie in its flat vector, and what its layers are.
#pragma once

#include "elbo/vae/architecture.hpp"

#include <cstdint>
#include <vector>

namespace elbo::kernels {

/// y = f(x W + b): W [inputs x outputs] row-major at `weights`, b [outputs] at `bias` of the flat vector.
struct dense_layer {
    std::int64_t inputs = 0, outputs = 0;
    std::int64_t weights = 0, bias = 0;
    vae::activation form = vae::activation::identity;
};

/// The order of model::parameters(): encoder, decoder (or sphere), likelihood. Of a sphere decoder r is stored at
/// `sphere_radius` [1] and m at `sphere_centre` [d]; the likelihood's own parameter (ln σ²) at `own` [own_count].
struct vae_layout {
    vae::architecture architecture;
    std::vector<dense_layer> encoder; ///< the last: identity, 2·latent outputs, means then a (see bounded_log_variance)
    std::vector<dense_layer> decoder; ///< the last: identity, d outputs; empty for a sphere decoder
    std::int64_t sphere_radius = -1, sphere_centre = -1;
    std::int64_t own = -1, own_count = 0;
    std::int64_t parameters = 0;
};
vae_layout make_layout(const vae::architecture& a);

/// Whether σ² is that of the batch and of the rows before (math/vae_scale.hpp).
bool has_optimal_scale(const vae_layout& l);
/// Whether the derivatives with respect to own parameters of the likelihood are kept for each row of the decoder.
bool has_own_gradients(const vae_layout& l);

} // namespace elbo::kernels
