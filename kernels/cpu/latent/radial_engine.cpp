// Models of distances from a centre (radial_engine.hpp) on the CPU: eight running sums for each distance.
#include "kernels/contract/radial_engine.hpp"

#include "kernels/cpu/latent/row_engine.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::cpu {

namespace {

/// ‖x − m‖.
double distance(const double* x, const double* m, std::int64_t d) {
    return std::sqrt(sum_of_terms(d, [&](std::int64_t j) { return (x[j] - m[j]) * (x[j] - m[j]); }));
}

template <class Law>
class radial_block {
public:
    using parameters = radial_parameters<Law>;

    explicit radial_block(const radial_shape<Law>& s) : partial_(sum_count(s)) {}
    static std::int64_t bytes(const radial_shape<Law>& s) { return 8 * sum_count(s); }
    static std::int64_t rows(std::int64_t) { return unit_rows; }

    void clear_partial() { std::fill_n(partial_.data(), partial_.size(), 0.0); }
    const double* partial() const { return partial_.data(); }

    void add(const parameters& p, const double* x, const double* weights, std::int64_t rows) {
        const std::int64_t d = p.shape.dimensions;
        for (std::int64_t n = 0; n < rows; ++n)
            if (const double w = weights ? weights[n] : 1; w > 0)
                add_row(p, x + n * d, w);
    }

    std::int64_t write(const parameters& p, const double* x, std::int64_t rows, const row_results& to) {
        const std::int64_t d = p.shape.dimensions;
        std::int64_t far = -1;
        for (std::int64_t n = 0; n < rows; ++n, x += d) {
            const auto row = p.law(distance(x, p.centre.data(), d));
            if (far < 0 && !std::isfinite(row.scalars[Law::log_density]))
                far = n;
            if (to.log_density.data)
                to.log_density(n, 0) = row.scalars[Law::log_density] - to.shift;
            if (to.responsibilities.data)
                to.responsibilities(n, 0) = 1;
            if (to.concentrations.data)
                to.concentrations(n, 0) = row.concentration;
            for (std::int64_t j = 0; to.means.data && j < d; ++j)
                to.means(n, j) = row.vectors[0] * (x[j] - p.centre[j]);
            for (std::int64_t j = 0; to.reconstruction.data && j < d; ++j)
                to.reconstruction(n, j) = p.place[j] + p.reach * (row.vectors[0] * (x[j] - p.centre[j]));
        }
        return far;
    }

private:
    void add_row(const parameters& p, const double* x, double w) {
        const std::int64_t d = p.shape.dimensions;
        auto row = p.law(distance(x, p.centre.data(), d));
        for (double& a : row.vectors)
            a *= w;
        double* const sums = partial_.data();
        for (std::int64_t j = 0; j < d; ++j) {
            const double y = x[j] - p.centre[j];
            for (std::int64_t v = 0; v < Law::vectors; ++v)
                sums[v * d + j] += row.vectors[v] * y;
        }
        for (std::int64_t s = 0; s < Law::scalars; ++s)
            sums[Law::vectors * d + s] += w * row.scalars[s];
    }

    aligned_array<double> partial_;
};

} // namespace

std::unique_ptr<sphere_engine> make_sphere(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu_row_engine<sphere_engine::parameters, radial_block<sphere_law>>>(ctx, dimensions);
}

} // namespace elbo::kernels::cpu
