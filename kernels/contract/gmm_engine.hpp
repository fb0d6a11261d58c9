// The operations of Gaussian mixtures, declared once: every back end implements gmm_engine, the host code uses nothing
// else. An engine owns the normalised rows, the parameters, the sums and the scratch memory of one fit.
//
// Frame (docs/kernels.md section 4): engines work on x̃ = (x − centre) / scale with scale a power of two. Parameters
// here are in that frame. log p(x) = log p(x̃) − Σ_j ln scale_j.
//
// Unit (section 3): rows n with the same n / unit_rows are the atom of arithmetic. Within a unit the order of every sum
// is fixed by the position in the unit alone; unit partials are float64 and enter fixed-point sums
// (math/fixed_point.hpp), so batches, threads and grids change no bit. Batches begin at a multiple of unit_rows.
//
// Active set (section 2): m_n = max_k lp_nk; A_n = {k : lp_nk ≥ m_n − Θ}, Θ = 24 ln 2 + ln K; lse_n and r_nk are sums
// over A_n in ascending k, r = 0 outside. An engine may also sum over all k: the difference is below 2⁻²⁴.
//
// Labels (docs/theory.md section 1, partially observed z): lp_nk = log α_k + log π_nk + log N(x̃_n; k), and m_n, A_n,
// lse_n and r_nk follow from it. A label l is π = 1 for k = l and 0 for all others; an unknown one is π = 1 for all k.
// A row whose components with π_nk > 0 have all been dropped is taken as one without a label, for as long as that is
// so: it follows from π and α alone, so it is the same in every engine.
#pragma once

#include "elbo/context.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/labels.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/matrix_view.hpp"
#include "kernels/contract/fixed_sums.hpp"
#include "kernels/contract/gmm_layout.hpp"
#include "kernels/math/stopping.hpp"

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace elbo::kernels {

/// x̃ = (x − centre) / scale, by column; scale is a power of two.
struct frame {
    std::vector<double> centre, scale;
};

using gmm::sample_labels;

/// Numbers of one row of labels.
constexpr std::int64_t label_columns(sample_labels::kind kind, std::int64_t components) {
    return kind == sample_labels::kind::none ? 0 : kind == sample_labels::kind::labels ? 1 : components;
}

/// Rows of the user's data with their weights and labels (host, pinned or device memory), before normalisation.
struct input_rows {
    any_matrix_view x;
    any_matrix_view weights; ///< [rows x 1], data == nullptr for all 1
    double weight_scale = 1; ///< power of two by which weights are multiplied on load
    /// [rows x 1] whole numbers −1 (unknown), 0 ... k − 1, or [rows x k] factors π ≥ 0, not all zero in a row;
    /// data == nullptr for none. The host has checked them.
    any_matrix_view labels = {};
    sample_labels::kind label_kind =
        sample_labels::kind::none; ///< that of reserve(); with none the rows are without labels

    input_rows slice(std::int64_t first, std::int64_t rows) const {
        return {x.slice(first, rows), weights.slice(first, rows), weight_scale, labels.slice(first, rows), label_kind};
    }
};

/// Moments of the columns over the rows of one unit, about nothing but themselves, float64. Rows of weight zero do not
/// count, but are checked for NaN and infinity as all others are.
struct unit_summary {
    double weight; ///< Σ w
    double largest_weight;
    double smallest_weight;                     ///< also of rows that do not count; NaN if a weight is NaN
    double positive;                            ///< rows with w > 0
    std::span<const double> mean, m2, min, max; ///< [d]: weighted mean, Σ w (x − mean)², range
};

/// Those of many units: for each a line of these scalars, then mean, m2, min and max.
enum summary_scalar : std::int64_t {
    summary_weight,
    summary_largest,
    summary_smallest,
    summary_positive,
    summary_scalars
};
constexpr std::int64_t summary_size(std::int64_t d) {
    return summary_scalars + 4 * d;
}
class unit_summaries {
public:
    void clear(std::int64_t columns) {
        columns_ = columns;
        lines_.clear();
    }
    /// Room for more units: where the line of the first of them begins.
    double* append(std::int64_t units) {
        lines_.resize(lines_.size() + static_cast<std::size_t>(units * summary_size(columns_)));
        return lines_.data() + lines_.size() - units * summary_size(columns_);
    }
    std::int64_t size() const { return std::ssize(lines_) / summary_size(columns_); }
    unit_summary operator[](std::int64_t unit) const {
        const double* line = lines_.data() + unit * summary_size(columns_);
        const auto part = [&](std::int64_t p) {
            return std::span(line + summary_scalars + p * columns_, static_cast<std::size_t>(columns_));
        };
        return {line[summary_weight],
                line[summary_largest],
                line[summary_smallest],
                line[summary_positive],
                part(0),
                part(1),
                part(2),
                part(3)};
    }

private:
    std::int64_t columns_ = 0;
    std::vector<double> lines_;
};

/// Parameters in the normalised frame, on the host, float64. precision_cholesky in the layout of gmm::model;
/// log_weights −infinity for a dropped component.
struct gmm_parameters {
    std::vector<double> log_weights, means, precision_cholesky;
};

/// Conjugate prior of the parameters in the normalised frame, as the samples that it stands for (docs/priors.md). All
/// counts and the scale are times weight_scale, as the samples are.
struct conjugate_prior {
    double weight_count = 0; ///< a − 1, samples of each component in its weight
    double mean_count = 0;   ///< κ₀ > 0, samples of each component at `mean`
    /// Samples in each covariance beside the N_k: log p(θ) holds ½ covariance_count · log |Λ|, tied families once.
    double covariance_count = 0;
    std::vector<double> mean;  ///< [d] m₀
    std::vector<double> scale; ///< Ψ₀, the scatter of those samples: [d x d], [d], or [1] summed over the dimensions
    double log_constant = 0;   ///< what log p(θ) in units of the data holds beside the parameters in the frame
};

/// What the M-step needs beside the sums.
struct update_rule {
    double total_weight = 0;    ///< W = Σ w_n (after weight_scale)
    std::vector<double> lambda; ///< [d] added to the diagonals, normalised frame; spherical families take its mean
    std::vector<double>
        scatter; ///< tied families: Σ w x̃ x̃ᵀ: tied packed upper [d(d+1)/2], tied_diagonal [d], tied_spherical [1]
    gmm::collapse_policy on_collapse = gmm::collapse_policy::reseed;
    int reseeds_each = 3; ///< times that one component is re-seeded before it is dropped
    /// Maximum a posteriori. No component counts as empty, none is dropped: one without samples follows the prior.
    std::optional<conjugate_prior> prior = {};
};

/// What one E-step and M-step came to. Totals over the samples (Σ w_n ...), in the normalised frame.
struct update_outcome {
    double log_likelihood = 0;
    double entropy = 0;
    double elbo_after = 0;          ///< J(q_{t+1}, θ_{t+1}); equals log_likelihood in an iteration with events
    double parameter_change = 0;    ///< max |Δμ̃|
    std::vector<gmm::event> events; ///< iteration is filled in by the loop
    double log_prior = 0;           ///< log p(θ_t) in units of the data, times weight_scale; 0 without a prior
    double log_prior_after = 0;     ///< log p(θ_{t+1}); equals log_prior in an iteration with events
};

struct loop_options {
    std::int64_t max_iterations = 0;
    double tolerance = 0;       ///< on the mean of log-likelihood + log prior per sample
    double component_bound = 0; ///< scales of the sums, as for clear_sums
    double scalar_bound = 0;
    update_rule rule;
    loop_position begin; ///< what was done before
    /// Called once an iteration, at the latest when the loop ends; return false to stop.
    std::function<bool(std::int64_t iteration, const update_outcome&)> on_iteration;
    /// Called now and then between two iterations, with what is done; the engine's parameters are those of the next.
    std::function<void(const loop_position&)> on_pause;
};

struct loop_result {
    stop_reason stopped = stop_reason::converged;
    loop_position end; ///< the engine's parameters are those of the last E-step, the next are for adopt()
};

class gmm_engine {
public:
    explicit gmm_engine(const gmm_shape& s) : shape(s) {}
    virtual ~gmm_engine() = default;
    gmm_engine(const gmm_engine&) = delete;
    gmm_engine& operator=(const gmm_engine&) = delete;

    const gmm_shape shape;

    // --- data ---------------------------------------------------------------------------------------------------
    /// One summary for each unit of the rows; returns the index row * cols + col of the first NaN or infinity, else −1.
    virtual std::int64_t summarize(const input_rows& in, unit_summaries& out) = 0;
    /// Bytes that reserve(rows, weighted, labels) will take, everything of this engine included.
    virtual std::int64_t bytes_needed(std::int64_t rows, bool weighted,
                                      sample_labels::kind labels = sample_labels::kind::none) const = 0;
    /// Memory for `rows` normalised rows (slots 0 ... rows − 1) with what is known of them. Throws out_of_memory.
    virtual void reserve(std::int64_t rows, bool weighted, sample_labels::kind labels = sample_labels::kind::none) = 0;
    /// Normalises rows into the slots from `slot` on, a multiple of unit_rows. Weights and labels for which no memory
    /// was reserved are left out.
    virtual void load(const input_rows& in, const frame& f, std::int64_t slot) = 0;

    // --- sums ---------------------------------------------------------------------------------------------------
    /// Sets the sums to zero and their scales: no partial of a component statistic may exceed `component_bound`, none
    /// of a scalar `scalar_bound`.
    virtual void clear_sums(double component_bound, double scalar_bound) = 0;
    /// E-step and sums over the slots first ... first + rows − 1 under the current parameters.
    virtual void accumulate(std::int64_t first, std::int64_t rows) = 0;
    /// Σ w x̃ x̃ᵀ over the slots, added to `scatter` in fixed point (tied families only; layout of update_rule::scatter;
    /// all entries in units of component_exponent).
    virtual void accumulate_scatter(std::int64_t first, std::int64_t rows, fixed_sums& scatter) = 0;
    /// [sum_count(shape)] (layout: gmm_layout.hpp).
    virtual fixed_sums sums() = 0;
    virtual void set_sums(const fixed_sums& s) = 0;

    // --- parameters ---------------------------------------------------------------------------------------------
    /// Takes parameters; engines that compute in float32 round means and factors to float32 first.
    virtual void set_parameters(const gmm_parameters& p) = 0;
    virtual gmm_parameters parameters() = 0;
    /// M-step from the sums: the next parameters, kept aside until adopt(), and what came of it.
    virtual update_outcome update(const update_rule& rule) = 0;
    /// Makes the parameters of the last update() the current ones.
    virtual void adopt() = 0;

    // --- loops --------------------------------------------------------------------------------------------------
    /// EM over the resident slots 0 ... rows − 1 until it stops, by an engine that has a loop of its own. Others return
    /// nothing, and nothing has happened.
    virtual std::optional<loop_result> run(std::int64_t /*rows*/, const loop_options& /*options*/) { return {}; }

    // --- inference ----------------------------------------------------------------------------------------------
    /// Of the slots first ... first + rows − 1; the results are there when this returns.
    virtual void infer(std::int64_t first, std::int64_t rows, const inference_results& to) = 0;

    // --- checkpoints --------------------------------------------------------------------------------------------
    /// Times that each component has been re-seeded since set_parameters, which forgets them.
    virtual std::vector<std::int32_t> reseeds() = 0;
    virtual void set_reseeds(const std::vector<std::int32_t>& times) = 0;
};

/// The engine of the context's back end; that of the reference computes in float64 whatever `precision` is.
std::unique_ptr<gmm_engine> make_gmm_engine(const context& ctx, const gmm_shape& shape, element_type precision);

} // namespace elbo::kernels
