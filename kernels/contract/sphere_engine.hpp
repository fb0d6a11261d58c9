// One pass over the rows for the sphere model (kernels/math/sphere_row.hpp), declared once: every back end implements
// sphere_engine, the host code uses nothing else.
//
// Frame, unit and fixed-point sums are those of contract/gmm_engine.hpp: engines work on x̃ = (x − centre) / scale with
// one scale for all columns, all arithmetic is float64, sums within a unit of unit_rows rows have an order that depends
// on the position in the unit alone, and partials enter fixed-point sums, so batches, threads and grids change no bit.
#pragma once

#include "elbo/context.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/math/sphere_row.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

/// In the normalised frame, on the host.
struct sphere_values {
    std::vector<double> centre; ///< [d]
    double radius = 0;          ///< r
    double noise = 1;           ///< σ²
};

/// The sums of a pass, with y = x̃ − m: [Σ w ū [d] | Σ w E[y − r u] [d] | scalars].
enum sphere_scalar : std::int64_t {
    sphere_weight,        ///< Σ w
    sphere_alignment,     ///< Σ w E[u·(y − r u)]
    sphere_squared_error, ///< Σ w E‖y − r u‖²
    sphere_log_density,   ///< Σ w log p
    sphere_negative_kl,   ///< −Σ w KL(p(u|x) ‖ uniform)
    sphere_scalars
};
constexpr std::int64_t sphere_sum_count(std::int64_t d) {
    return 2 * d + sphere_scalars;
}

/// Adds what a row of weight w gives to the scalars.
inline void add_scalars(const sphere_row& row, double w, double* scalars) {
    scalars[sphere_weight] += w;
    scalars[sphere_alignment] += w * row.alignment;
    scalars[sphere_squared_error] += w * row.squared_error;
    scalars[sphere_log_density] += w * row.log_density;
    scalars[sphere_negative_kl] += w * row.negative_kl;
}

/// What no partial may exceed: of the sums of lengths and squares, and of the two last, of logarithms.
struct sphere_bounds {
    double lengths = 0, logs = 0;
};

/// Exponents of the fixed-point sums.
struct sphere_exponents {
    int lengths = 0, logs = 0;
};
ELBO_HD constexpr int exponent_of(const sphere_exponents& e, std::int64_t scalar) {
    return scalar < sphere_log_density ? e.lengths : e.logs;
}

sphere_exponents exponents_of(const sphere_bounds& bounds);

class sphere_engine {
public:
    explicit sphere_engine(std::int64_t dimensions) : dimensions(dimensions) {}
    virtual ~sphere_engine() = default;
    sphere_engine(const sphere_engine&) = delete;
    sphere_engine& operator=(const sphere_engine&) = delete;

    const std::int64_t dimensions;

    /// Bytes that reserve(rows, weighted) will take, everything of this engine included.
    virtual std::int64_t bytes_needed(std::int64_t rows, bool weighted) const = 0;
    /// Memory for `rows` normalised rows (slots 0 ... rows − 1). Throws out_of_memory.
    virtual void reserve(std::int64_t rows, bool weighted) = 0;
    /// Normalises rows, whose values have been checked, into the slots from `slot` on, a multiple of unit_rows. Rows
    /// without weights get the weight 1.
    virtual void load(const input_rows& in, const frame& f, std::int64_t slot) = 0;

    virtual void set_parameters(const sphere_values& p) = 0;
    /// Sets the sums to zero and their scales.
    virtual void clear_sums(const sphere_bounds& bounds) = 0;
    /// Sums over the slots first ... first + rows − 1; `first` is a multiple of unit_rows.
    virtual void accumulate(std::int64_t first, std::int64_t rows) = 0;
    /// The sums, [sphere_sum_count(d)].
    virtual std::vector<double> sums() = 0;

    /// For the slots first ... first + rows − 1, to host memory: log p(x̃) [rows], ū [rows x d] and κ [rows]; null
    /// pointers are skipped.
    virtual void infer(std::int64_t first, std::int64_t rows, double* log_density, double* means,
                       double* concentrations) = 0;
};

/// Fixed-point sums, limbs [3][count]: the ones of the host's engines, and what devices hand back.
struct sphere_sums {
    std::vector<std::int64_t> limbs;
    sphere_exponents exponents;

    sphere_sums() = default;
    /// Zero, with the scales of these bounds.
    sphere_sums(std::int64_t dimensions, const sphere_bounds& bounds);
    /// Adds the partials of a unit, [count].
    void add(const double* partials);
    /// [count]
    std::vector<double> values() const;
};

std::unique_ptr<sphere_engine> make_reference_sphere_engine(const context& ctx, std::int64_t dimensions);
std::unique_ptr<sphere_engine> make_cpu_sphere_engine(const context& ctx, std::int64_t dimensions);
std::unique_ptr<sphere_engine> make_cuda_sphere_engine(const context& ctx, std::int64_t dimensions);

} // namespace elbo::kernels
