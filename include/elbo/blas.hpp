// Which BLAS computes small linear algebra and the products of models with continuous latent variables.
#pragma once

#include <string>

namespace elbo {

/// What the BLAS says about itself, and whether it uses what the processor has. Mixtures and autoencoders have kernels
/// of their own and do not depend on its speed.
struct blas_info {
    std::string name;   ///< "OpenBLAS 0.3.21"; "unknown" where the library does not say
    std::string core;   ///< the kernels that it runs: "SkylakeX", "Prescott"; empty where it does not say
    std::string advice; ///< what its kernels leave unused and the cure; empty if nothing is lost
};

/// The BLAS of this process. An OpenBLAS older than the processor falls back to kernels for a processor of 2004 (SSE3);
/// which kernels it runs is settled when it is loaded, so that only the environment of the process can change them.
blas_info blas();

} // namespace elbo
