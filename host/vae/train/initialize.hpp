// Where training begins.
#pragma once

#include "kernels/contract/vae_layout.hpp"

#include <cstdint>
#include <vector>

namespace elbo::vae {

/// Glorot-uniform weights (Glorot and Bengio 2010), He-uniform (He et al., arXiv 1502.01852) before ReLU, GELU and
/// SiLU, zero biases; with data_mean [d] the output bias gives that mean where z = 0. All are float32 numbers, so that
/// every back end begins at the same point.
std::vector<double> initial_parameters(const kernels::vae_layout& layout, std::uint64_t seed,
                                       const std::vector<double>& data_mean);

} // namespace elbo::vae
