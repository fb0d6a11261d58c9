// Models of distances from a centre (radial_engine.hpp) in the reference back end.
#include "kernels/contract/radial_engine.hpp"

#include "kernels/reference/latent/row_engine.hpp"

#include <cmath>

namespace elbo::kernels::reference {

namespace {

template <class Law>
class reference_radial_model {
public:
    reference_radial_model() = default;
    explicit reference_radial_model(const radial_parameters<Law>& p) : p_(p), y_(p.shape.dimensions) {}

    void add(const double* x, double w, double* partial) {
        const auto row = row_of(x);
        const std::int64_t d = p_.shape.dimensions;
        for (std::int64_t v = 0; v < Law::vectors; ++v)
            for (std::int64_t j = 0; j < d; ++j)
                partial[v * d + j] += w * row.vectors[v] * y_[j];
        for (std::int64_t s = 0; s < Law::scalars; ++s)
            partial[Law::vectors * d + s] += w * row.scalars[s];
    }

    double write(const double* x, std::int64_t i, const row_results& to) {
        const auto row = row_of(x);
        if (to.log_density.data)
            to.log_density(i, 0) = row.scalars[Law::log_density] - to.shift;
        if (to.responsibilities.data)
            to.responsibilities(i, 0) = 1;
        if (to.concentrations.data)
            to.concentrations(i, 0) = row.concentration;
        for (std::int64_t j = 0; to.means.data && j < p_.shape.dimensions; ++j)
            to.means(i, j) = row.vectors[0] * y_[j];
        for (std::int64_t j = 0; to.reconstruction.data && j < p_.shape.dimensions; ++j)
            to.reconstruction(i, j) = p_.place[j] + p_.reach * (row.vectors[0] * y_[j]);
        return row.scalars[Law::log_density];
    }

private:
    /// What the law says of a row; leaves y.
    auto row_of(const double* x) {
        double square = 0;
        for (std::int64_t j = 0; j < p_.shape.dimensions; ++j) {
            y_[j] = x[j] - p_.centre[j];
            square += y_[j] * y_[j];
        }
        return p_.law(std::sqrt(square));
    }

    radial_parameters<Law> p_;
    std::vector<double> y_; ///< of one row
};

} // namespace

std::unique_ptr<sphere_engine> make_sphere(const context&, std::int64_t dimensions) {
    return std::make_unique<reference_row_engine<sphere_engine::parameters, reference_radial_model<sphere_law>>>(
        dimensions);
}

} // namespace elbo::kernels::reference
