// The row engine of models in which a row matters by its distance from a centre m: with y = x̃ − m a `Law` maps ‖y‖ to
//
//     vectors[Law::vectors]   a_i, of whose products with y there are sums; a_0 y is the mean of the latent variable
//     scalars[Law::scalars]   numbers of which there are sums, the last Law::logs in the scale of logarithms; that at
//                             Law::log_density is log p(x̃)
//     concentration
//
// and that is all that a further such model has to bring: kernels/math/sphere_row.hpp is the law of the sphere model.
// The sums of a pass: [Σ w a_i y [d] for each vector | Σ w s_i for each scalar].
#pragma once

#include "kernels/contract/row_engine.hpp"
#include "kernels/math/sphere_row.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

template <class Law>
struct radial_shape {
    std::int64_t dimensions = 1;

    bool operator==(const radial_shape&) const = default;
};
template <class Law>
ELBO_HD constexpr std::int64_t sum_count(const radial_shape<Law>& s) {
    return Law::vectors * s.dimensions + Law::scalars;
}
template <class Law>
constexpr std::int64_t scalar_sums(const radial_shape<Law>&) {
    return Law::logs;
}

template <class Law>
constexpr std::int64_t parameter_numbers(const radial_shape<Law>& s) {
    return s.dimensions;
}

/// In the normalised frame, on the host. A row without its noise is place + reach · a_0 y.
template <class Law>
struct radial_parameters {
    radial_shape<Law> shape;
    std::vector<double> centre; ///< [d]
    Law law{};
    // For inference alone, in units of the data.
    std::vector<double> place = {}; ///< [d]
    double reach = 0;
};

/// The sphere model in the normalised frame, which has one scale for all columns.
struct sphere_values {
    std::vector<double> centre; ///< [d]
    double radius = 0;          ///< r
    double noise = 1;           ///< σ²

    std::int64_t dimensions() const { return std::ssize(centre); }
    sphere_law law() const { return make_sphere_law(dimensions(), radius, noise); }
    /// What a pass takes.
    radial_parameters<sphere_law> pass() const { return {{dimensions()}, centre, law()}; }
};

using sphere_engine = row_engine<radial_parameters<sphere_law>>;

/// The engine of the context's back end.
std::unique_ptr<sphere_engine> make_sphere_engine(const context& ctx, std::int64_t dimensions);

} // namespace elbo::kernels
