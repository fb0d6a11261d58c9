// Names of the enumerations of mixtures.
#pragma once

#include "elbo/gmm/select.hpp"
#include "elbo/gmm/variational.hpp"
#include "host/names.hpp"

namespace elbo {

template <>
inline constexpr name_table names<gmm::family>{
    "family", {"full", "diagonal", "spherical", "tied", "tied_diagonal", "tied_spherical"}};
template <>
inline constexpr name_table names<gmm::start_method>{"start", {"automatic", "kmeans++", "kmeans", "random", "samples"}};
template <>
inline constexpr name_table names<gmm::m_step_method>{"M-step", {"closed_form", "gradient"}};
template <>
inline constexpr name_table names<gmm::compute_precision>{"precision", {"automatic", "float32", "float64"}};
template <>
inline constexpr name_table names<gmm::event::kind>{"event", {"empty", "singular", "identical", "far_value"}};
template <>
inline constexpr name_table names<gmm::weights_model>{"weights model", {"dirichlet", "stick_breaking"}};
template <>
inline constexpr name_table names<gmm::criterion>{"criterion", {"bic", "aic", "icl", "validation", "cross_validation"}};

} // namespace elbo
