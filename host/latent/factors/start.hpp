// Where EM of linear-Gaussian models begins.
#pragma once

#include "elbo/latent/factors.hpp"
#include "host/gmm/start/start.hpp"
#include "host/latent/factors/values.hpp"

#include <cstdint>
#include <vector>

namespace elbo::latent {

/// Orthonormal columns [d x count], row-major: the Gram-Schmidt of a matrix [d x count], count ≤ d.
std::vector<double> orthonormal(std::vector<double> matrix, std::int64_t d, std::int64_t count);

/// Standard normals [d x count] from a seed.
std::vector<double> random_matrix(std::int64_t d, std::int64_t count, std::uint64_t seed);

/// Rows that a start looks at: at most 2²⁴ numbers, but at least 16 rows a component.
std::int64_t factor_start_rows(std::int64_t components, std::int64_t dimensions);

/// How one of the restarts begins: a kind, or what `automatic` stands for there.
factor_start restart_start(const factor_options& options, std::int64_t restart);

/// The parameters that a restart begins with, in the frame of the sample; k-means runs on the context's back end.
factor_values start_values(const context& ctx, const gmm::start_sample& sample, const factor_options& options,
                           const std::vector<double>& noise_floor, std::int64_t restart);

} // namespace elbo::latent
