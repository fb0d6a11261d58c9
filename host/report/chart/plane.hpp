// A mixture seen in a plane (or on a line): its first two columns, or its first two principal components.
#pragma once

#include "elbo/gmm/model.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace elbo::report {

/// One Gaussian of the plane: mean and covariance (xx, xy, yy).
struct plane_gaussian {
    double weight = 0;
    double x = 0, y = 0;
    double xx = 1, xy = 0, yy = 1;

    double density(double at_x, double at_y) const;
    /// Points of the ellipse at `sigmas` standard deviations.
    std::vector<std::array<double, 2>> ellipse(double sigmas, int points) const;
};

/// Linear map of the data to a plane, u = Aᵀ (x − centre), and the mixture in that plane. Gaussian mixtures are closed
/// under linear maps, so this is the exact marginal distribution.
struct plane_view {
    std::vector<double> centre;              ///< [d]
    std::array<std::vector<double>, 2> axes; ///< 2 x [d]
    std::array<std::string, 2> titles;       ///< of the axes
    std::vector<plane_gaussian> components;  ///< [k]

    std::array<double, 2> project(std::span<const double> row) const;
    double density(double x, double y) const;
};

/// The plane for a model with at least two dimensions: the columns themselves for two, else the first two eigenvectors
/// of the mixture's total covariance Σ_k α_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ), each with its largest entry positive.
/// `column_names` may be empty.
plane_view make_plane(const gmm::model& m, const std::vector<std::string>& column_names);

/// Name of column j: its own, or "column j".
std::string column_name(const std::vector<std::string>& names, std::int64_t j);

} // namespace elbo::report
