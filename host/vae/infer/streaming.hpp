// Results of networks, piece by piece.
#pragma once

#include "elbo/vae/infer.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <memory>
#include <vector>

namespace elbo::vae {

/// An engine with the parameters of a model.
std::unique_ptr<kernels::vae_engine> engine_of(const context& ctx, const model& m);

/// A sink that keeps all rows in `out` [rows x cols], one behind the other.
row_sink collect(std::vector<float>& out);

} // namespace elbo::vae
