// The CPU back end of sphere_engine.hpp: units spread over the threads, eight running sums for each distance.
#include "kernels/contract/sphere_engine.hpp"

#include "kernels/cpu/latent/rows.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace elbo::kernels {

namespace cpu {

namespace {

/// ‖x − m‖. Eight sums, so that the compiler can use vectors without changing the order of additions.
double distance(const double* x, const double* m, std::int64_t d) {
    constexpr std::int64_t lanes = 8;
    double sums[lanes] = {};
    std::int64_t j = 0;
    for (; j + lanes <= d; j += lanes)
        for (std::int64_t l = 0; l < lanes; ++l)
            sums[l] += (x[j + l] - m[j + l]) * (x[j + l] - m[j + l]);
    for (; j < d; ++j)
        sums[j % lanes] += (x[j] - m[j]) * (x[j] - m[j]);
    return std::sqrt(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

class cpu_sphere_engine final : public sphere_engine {
public:
    cpu_sphere_engine(const context& ctx, std::int64_t dimensions)
        : sphere_engine(dimensions), threads_(ctx.threads()), rows_(threads_, dimensions) {}

    std::int64_t bytes_needed(std::int64_t rows, bool weighted) const override {
        return latent_rows::bytes(rows, dimensions, weighted) +
               8 * (dimensions + (3 + threads_) * sphere_sum_count(dimensions));
    }

    void reserve(std::int64_t rows, bool weighted) override { rows_.reserve(rows, weighted); }
    void load(const input_rows& in, const frame& f, std::int64_t slot) override { rows_.load(in, f, slot); }

    void set_parameters(const sphere_values& p) override {
        centre_ = p.centre;
        scales_ = make_sphere_scales(dimensions, p.radius, p.noise);
    }

    void clear_sums(const sphere_bounds& bounds) override { sums_ = {dimensions, bounds}; }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        partials_.resize(static_cast<std::size_t>(threads_));
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            std::vector<double>& partial = partials_[thread];
            partial.assign(sphere_sum_count(dimensions), 0);
            const std::int64_t begin = first + u * unit_rows, end = std::min(begin + unit_rows, first + rows);
            for (std::int64_t n = begin; n < end; ++n)
                add_row(n, partial.data());
            // Integer sums: the order in which the threads come does not matter.
            const std::lock_guard lock(sums_mutex_);
            sums_.add(partial.data());
        });
    }

    std::vector<double> sums() override { return sums_.values(); }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* means,
               double* concentrations) override {
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int) {
            for (std::int64_t i = u * unit_rows; i < std::min((u + 1) * unit_rows, rows); ++i) {
                const double* x = rows_.x(first + i);
                const sphere_row row = make_sphere_row(scales_, distance(x, centre_.data(), dimensions));
                if (log_density)
                    log_density[i] = row.log_density;
                if (concentrations)
                    concentrations[i] = row.concentration;
                for (std::int64_t j = 0; means && j < dimensions; ++j)
                    means[i * dimensions + j] = row.direction * (x[j] - centre_[j]);
            }
        });
    }

private:
    void add_row(std::int64_t n, double* partial) const {
        const double* const weight = rows_.weights(n);
        const double w = weight ? *weight : 1;
        if (!(w > 0))
            return;
        const std::int64_t d = dimensions;
        const double *x = rows_.x(n), *m = centre_.data();
        const sphere_row row = make_sphere_row(scales_, distance(x, m, d));
        const double direction = w * row.direction, residual = w * row.residual;
        double *const directions = partial, *const residuals = partial + d;
        for (std::int64_t j = 0; j < d; ++j) {
            const double offset = x[j] - m[j];
            directions[j] += direction * offset;
            residuals[j] += residual * offset;
        }
        add_scalars(row, w, partial + 2 * d);
    }

    int threads_;
    latent_rows rows_;
    std::vector<double> centre_;
    sphere_scales scales_{};
    std::vector<std::vector<double>> partials_; ///< one a thread
    sphere_sums sums_;
    std::mutex sums_mutex_;
};

} // namespace

} // namespace cpu

std::unique_ptr<sphere_engine> make_cpu_sphere_engine(const context& ctx, std::int64_t dimensions) {
    return std::make_unique<cpu::cpu_sphere_engine>(ctx, dimensions);
}

} // namespace elbo::kernels
