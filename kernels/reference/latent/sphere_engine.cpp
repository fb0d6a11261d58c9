// The reference back end of sphere_engine.hpp: float64, one thread, one row after the other.
#include "kernels/contract/sphere_engine.hpp"

#include "elbo/error.hpp"
#include "kernels/contract/latent_engine.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <new>

namespace elbo::kernels {

namespace {

class reference_sphere_engine final : public sphere_engine {
public:
    explicit reference_sphere_engine(std::int64_t dimensions) : sphere_engine(dimensions), offset_(dimensions) {}

    std::int64_t bytes_needed(std::int64_t rows, bool) const override {
        return 8 * (rows * (dimensions + 1) + 2 * dimensions + 4 * sphere_sum_count(dimensions));
    }

    void reserve(std::int64_t rows, bool) override {
        try {
            x_.assign(rows * dimensions, 0);
            weights_.assign(rows, 1);
        } catch (const std::bad_alloc&) {
            throw out_of_memory(fmt::format("{} rows of {} numbers do not fit in memory", rows, dimensions),
                                static_cast<std::uint64_t>(8 * rows * (dimensions + 1)), 0);
        }
    }

    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        load_latent_rows(in, f, &x_[slot * dimensions], &weights_[slot]);
    }

    void set_parameters(const sphere_values& p) override {
        centre_ = p.centre;
        scales_ = make_sphere_scales(dimensions, p.radius, p.noise);
    }

    void clear_sums(const sphere_bounds& bounds) override { sums_ = {dimensions, bounds}; }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        std::vector<double> partial(sphere_sum_count(dimensions));
        for (std::int64_t begin = first; begin < first + rows; begin += unit_rows) {
            std::ranges::fill(partial, 0.0);
            for (std::int64_t n = begin; n < std::min(begin + unit_rows, first + rows); ++n)
                add_row(n, partial.data());
            sums_.add(partial.data());
        }
    }

    std::vector<double> sums() override { return sums_.values(); }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* means,
               double* concentrations) override {
        for (std::int64_t i = 0; i < rows; ++i) {
            const sphere_row row = row_posterior(first + i);
            if (log_density)
                log_density[i] = row.log_density;
            if (concentrations)
                concentrations[i] = row.concentration;
            for (std::int64_t j = 0; means && j < dimensions; ++j)
                means[i * dimensions + j] = row.direction * offset_[j];
        }
    }

private:
    /// The posterior of the row in slot n; leaves y = x̃ − m in offset_.
    sphere_row row_posterior(std::int64_t n) {
        double square = 0;
        for (std::int64_t j = 0; j < dimensions; ++j) {
            offset_[j] = x_[n * dimensions + j] - centre_[j];
            square += offset_[j] * offset_[j];
        }
        return make_sphere_row(scales_, std::sqrt(square));
    }

    void add_row(std::int64_t n, double* partial) {
        const double w = weights_[n];
        if (!(w > 0))
            return;
        const sphere_row row = row_posterior(n);
        for (std::int64_t j = 0; j < dimensions; ++j) {
            partial[j] += w * row.direction * offset_[j];
            partial[dimensions + j] += w * row.residual * offset_[j];
        }
        add_scalars(row, w, partial + 2 * dimensions);
    }

    std::vector<double> x_, weights_, centre_;
    std::vector<double> offset_; ///< of one row
    sphere_scales scales_{};
    sphere_sums sums_;
};

} // namespace

std::unique_ptr<sphere_engine> make_reference_sphere_engine(const context&, std::int64_t dimensions) {
    return std::make_unique<reference_sphere_engine>(dimensions);
}

} // namespace elbo::kernels
