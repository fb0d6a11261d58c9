// Engines that hold a model with continuous latent variables, for batches of rows.
#pragma once

#include "elbo/data_source.hpp"
#include "elbo/latent/factors.hpp"
#include "elbo/latent/sphere.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace elbo::latent {

/// Results of rows in host memory, without gaps, in units of the data; null pointers are skipped.
struct row_results {
    double* log_density = nullptr;      ///< [rows]
    double* responsibilities = nullptr; ///< [rows x components], of factor models
    double* means = nullptr;            ///< [rows x width]
    double* concentrations = nullptr;   ///< [rows], of spheres
};

class scoring {
public:
    scoring(std::int64_t d, std::int64_t k, std::int64_t w) : dimensions(d), components(k), width(w) {}
    virtual ~scoring() = default;
    scoring(const scoring&) = delete;
    scoring& operator=(const scoring&) = delete;

    const std::int64_t dimensions, components, width;

    /// Memory for batches of up to so many rows. Throws out_of_memory.
    virtual void reserve(std::int64_t rows) = 0;
    virtual void load(const kernels::input_rows& batch) = 0;
    /// Of rows first ... of the batch, a multiple of unit_rows, where row 0 is row `name`[first_row] for messages.
    virtual void infer(std::int64_t first, std::int64_t rows, const row_results& to, std::string_view name,
                       std::int64_t first_row) = 0;
    /// The rows without their noise, [rows x d], from their responsibilities and means.
    virtual void reconstruct(std::int64_t rows, const row_results& of, double* out) = 0;
    /// Rows first ... of samples, [rows x d].
    virtual std::vector<double> sample(std::int64_t first, std::int64_t rows, std::uint64_t seed) const = 0;

    /// Rows whose results are held at a time, whole units: those of many components are larger than their rows.
    std::int64_t most_rows() const;
};

/// What the scorings of all models share.
template <class Engine>
class engine_scoring : public scoring {
public:
    engine_scoring(std::int64_t d, std::int64_t k, std::int64_t w, std::unique_ptr<Engine> engine, kernels::frame f)
        : scoring(d, k, w), engine_(std::move(engine)), frame_(std::move(f)) {}

    void reserve(std::int64_t rows) override {
        if (rows > rows_)
            engine_->reserve(rows, false);
        rows_ = std::max(rows, rows_);
    }
    void load(const kernels::input_rows& batch) override { engine_->load(batch, frame_, 0); }

protected:
    std::unique_ptr<Engine> engine_;
    kernels::frame frame_;

private:
    std::int64_t rows_ = 0;
};

std::unique_ptr<scoring> make_scoring(const context& ctx, const factor_model& m);
std::unique_ptr<scoring> make_scoring(const context& ctx, const sphere_model& m);

/// Results for the rows of a source in batches, `with_means` with those, in order. Every value is checked before the
/// first is handed out. Throws invalid_argument (other dimensions; NaN or infinity: row, column).
void infer_rows(const context& ctx, const data_source& data, scoring& model, bool with_means,
                const std::function<void(std::int64_t first_row, std::int64_t rows, const row_results&)>& sink);
/// Reconstructions of all rows [n x d].
std::vector<double> reconstruct_rows(const context& ctx, const data_source& data, scoring& model);

} // namespace elbo::latent
