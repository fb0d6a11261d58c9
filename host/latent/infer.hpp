// What models with continuous latent variables say about rows: what is the same for all of them.
#pragma once

#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "host/scoring.hpp"
#include "kernels/contract/latent_engine.hpp"
#include "kernels/contract/radial_engine.hpp"

#include <vector>

namespace elbo::latent {

scoring<kernels::latent_engine> make_scoring(const context& ctx, const factor_model& m);
scoring<kernels::sphere_engine> make_scoring(const context& ctx, const sphere_model& m);

template <class Model>
auto scored(const context& ctx, const Model& m, const data_source& data) {
    return scored_data(ctx, data, make_scoring(ctx, m), m.dimensions());
}

template <class Model>
std::vector<double> log_density_of(const context& ctx, const Model& m, const data_source& data) {
    std::vector<double> result(data.rows());
    scored(ctx, m, data).infer({.log_density = {result.data(), data.rows(), 1}});
    return result;
}

template <class Model>
std::vector<double> reconstruct_of(const context& ctx, const Model& m, const data_source& data) {
    std::vector<double> result(data.rows() * m.dimensions());
    scored(ctx, m, data).infer({.reconstruction = {result.data(), data.rows(), m.dimensions()}});
    return result;
}

} // namespace elbo::latent
