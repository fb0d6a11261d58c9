// The reference back end of latent_engine.hpp: float64, one thread, one row after the other.
#include "kernels/contract/latent_engine.hpp"

#include "elbo/error.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <new>

namespace elbo::kernels {

namespace {

class reference_latent_engine final : public latent_engine {
public:
    explicit reference_latent_engine(std::int64_t dimensions) : latent_engine(dimensions) {}

    std::int64_t bytes_needed(const latent_shape& s, std::int64_t rows, bool) const override {
        const std::int64_t parameters = s.components * (1 + s.dimensions * (2 + s.latent));
        return 8 * (rows * (dimensions + 1) + 4 * latent_sum_count(s) + parameters);
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

    void set_parameters(const latent_parameters& p) override {
        p_ = p;
        log_joint_.resize(p.shape.components);
        responsibilities_.resize(p.shape.components);
        projected_.resize(p.shape.components * p.shape.latent);
    }

    void clear_sums(double component_bound, double scalar_bound) override {
        sums_ = empty_latent_sums(p_.shape, component_bound, scalar_bound);
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        std::vector<double> partial(latent_sum_count(p_.shape));
        for (std::int64_t begin = first; begin < first + rows; begin += unit_rows) {
            std::ranges::fill(partial, 0.0);
            for (std::int64_t n = begin; n < std::min(begin + unit_rows, first + rows); ++n)
                add_row(&x_[n * dimensions], weights_[n], partial);
            add_latent_partials(sums_, p_.shape, partial.data());
        }
    }

    fixed_sums sums() override { return sums_; }

    void infer(std::int64_t first, std::int64_t rows, double* log_density, double* responsibilities,
               double* projected) override {
        for (std::int64_t i = 0; i < rows; ++i) {
            const double lse = row_posterior(&x_[(first + i) * dimensions]);
            if (log_density)
                log_density[i] = lse;
            if (responsibilities)
                std::ranges::copy(responsibilities_, responsibilities + i * p_.shape.components);
            if (projected)
                std::ranges::copy(projected_, projected + i * p_.shape.components * p_.shape.latent);
        }
    }

private:
    /// offset_k − ½ (Σ_j δ_j² / ψ_j − ‖c‖²), and c.
    double log_joint(std::int64_t k, const double* x) {
        const std::int64_t d = dimensions, L = p_.shape.latent;
        double* c = projected_.data() + k * L;
        std::fill_n(c, L, 0.0);
        double square = 0;
        for (std::int64_t j = 0; j < d; ++j) {
            const double delta = x[j] - p_.means[k * d + j];
            square += delta * delta * p_.precisions[k * d + j];
            for (std::int64_t l = 0; l < L; ++l)
                c[l] += p_.projections[(k * d + j) * L + l] * delta;
        }
        for (std::int64_t l = 0; l < L; ++l)
            square -= c[l] * c[l];
        return p_.offsets[k] - square / 2;
    }

    /// log p(x̃); leaves p(k | x̃) and c_k.
    double row_posterior(const double* x) {
        for (std::int64_t k = 0; k < p_.shape.components; ++k)
            log_joint_[k] = log_joint(k, x);
        const double largest = std::ranges::max(log_joint_);
        double sum = 0;
        for (const double lp : log_joint_)
            sum += std::exp(lp - largest);
        const double lse = largest + std::log(sum);
        for (std::int64_t k = 0; k < p_.shape.components; ++k)
            responsibilities_[k] = std::exp(log_joint_[k] - lse);
        return lse;
    }

    void add_row(const double* x, double w, std::vector<double>& partial) {
        if (!(w > 0))
            return;
        const double lse = row_posterior(x);
        double* const scalars = partial.data() + partial.size() - scalar_count;
        scalars[scalar_log_likelihood] += w * lse;
        scalars[scalar_weight] += w;
        for (std::int64_t k = 0; k < p_.shape.components; ++k) {
            const double r = responsibilities_[k];
            if (r > 0)
                scalars[scalar_entropy] -= w * r * (log_joint_[k] - lse);
            add_component(k, x, w * r, &partial[k * latent_statistics_size(p_.shape)]);
        }
    }

    void add_component(std::int64_t k, const double* x, double wr, double* sums) const {
        const std::int64_t d = dimensions, L = p_.shape.latent;
        const double* c = projected_.data() + k * L;
        sums[0] += wr;
        for (std::int64_t j = 0; j < d; ++j) {
            const double delta = x[j] - p_.means[k * d + j];
            sums[latent_first_moments + j] += wr * delta;
            sums[latent_squares(p_.shape) + j] += wr * delta * delta;
            for (std::int64_t l = 0; l < L; ++l)
                sums[latent_products(p_.shape) + j * L + l] += wr * delta * c[l];
        }
    }

    std::vector<double> x_, weights_;
    latent_parameters p_;
    std::vector<double> log_joint_, responsibilities_, projected_; ///< of one row: [K], [K], [K x L]
    fixed_sums sums_;
};

} // namespace

std::unique_ptr<latent_engine> make_reference_latent_engine(const context&, std::int64_t dimensions) {
    return std::make_unique<reference_latent_engine>(dimensions);
}

} // namespace elbo::kernels
