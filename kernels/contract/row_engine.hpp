// One pass over the rows for models with continuous latent variables, declared once: every back end has one row engine,
// which takes what a model computes with as `Parameters` (contract/latent_engine.hpp, contract/radial_engine.hpp) and
// knows how its rows become sums and results. The host code uses nothing else.
//
// Frame, unit and fixed-point sums are those of contract/gmm_engine.hpp: engines work on x̃ = (x − centre) / scale, all
// arithmetic is float64, sums within a unit of unit_rows rows have an order that depends on the position in the unit
// alone, and unit partials enter fixed-point sums, so batches, threads and grids change no bit.
#pragma once

#include "elbo/context.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

/// What no partial of a sum may exceed: of the statistics, and of the scalars behind them (scalar_sums(shape)).
struct sum_bounds {
    double component = 0, scalar = 0;
};

/// Where the results of rows go, in units of the data: views of any stride, in memory that the back end reaches; those
/// without data are skipped.
struct row_results {
    matrix_view<double> log_density = {};      ///< [rows x 1] log p(x̃) less `shift`
    matrix_view<double> responsibilities = {}; ///< [rows x K] p(k | x)
    matrix_view<double> means = {};            ///< [rows x K L] E[z | x, k]; radial: [rows x d] E[u | x]
    matrix_view<double> concentrations = {};   ///< [rows x 1]; radial alone
    matrix_view<double> reconstruction = {};   ///< [rows x d] the rows without their noise
    double shift = 0;                          ///< Σ_j ln scale_j

    constexpr row_results slice(std::int64_t first, std::int64_t rows) const {
        return {log_density.slice(first, rows),    responsibilities.slice(first, rows), means.slice(first, rows),
                concentrations.slice(first, rows), reconstruction.slice(first, rows),   shift};
    }
};

/// Parameters have a `shape`, on which the memory of an engine depends and for which there are sum_count(shape),
/// scalar_sums(shape) and parameter_numbers(shape).
template <class Parameters>
class row_engine {
public:
    using parameters = Parameters;
    using shape_type = decltype(Parameters::shape);

    explicit row_engine(std::int64_t dimensions) : dimensions(dimensions) {}
    virtual ~row_engine() = default;
    row_engine(const row_engine&) = delete;
    row_engine& operator=(const row_engine&) = delete;

    const std::int64_t dimensions;

    /// Bytes that reserve(rows, weighted) and passes with parameters of this shape will take.
    virtual std::int64_t bytes_needed(const shape_type& shape, std::int64_t rows, bool weighted) const = 0;
    /// Memory for `rows` normalised rows (slots 0 ... rows − 1). Throws out_of_memory.
    virtual void reserve(std::int64_t rows, bool weighted) = 0;
    /// Normalises rows, whose values have been checked, into the slots from `slot` on, a multiple of unit_rows. Rows
    /// without weights get the weight 1.
    virtual void load(const input_rows& in, const frame& f, std::int64_t slot) = 0;

    /// Takes parameters in the normalised frame; dimensions must be those of the engine. The sums are void until
    /// clear_sums.
    virtual void set_parameters(const Parameters& p) = 0;
    /// Sets the sums to zero and their scales.
    virtual void clear_sums(const sum_bounds& bounds) = 0;
    /// Sums over the slots first ... first + rows − 1; `first` is a multiple of unit_rows.
    virtual void accumulate(std::int64_t first, std::int64_t rows) = 0;
    /// The sums, [sum_count(shape)].
    virtual std::vector<double> sums() = 0;
    /// Results of the slots first ... first + rows − 1, which are there when this returns; the parameters must have
    /// what is for inference alone. Returns the first of these rows whose log-density is not finite, −1 if there is
    /// none.
    virtual std::int64_t infer(std::int64_t first, std::int64_t rows, const row_results& to) = 0;
};

/// For the host's engines: x̃ of some rows and their weights, which may be null, in float64 without gaps. Of rows of
/// weight zero numbers whose squares may overflow become zero.
void normalize_host_rows(const input_rows& in, const frame& f, double* x, double* weights);

} // namespace elbo::kernels
