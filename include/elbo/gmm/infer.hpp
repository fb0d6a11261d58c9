// What a fitted mixture says about data.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/model.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace elbo::gmm {

/// log p(x_n) for every row, in nats, [n]; with labels log Σ_k α_k π_nk N(x_n; k), of a row of known component
/// log p(x_n, z_n). Throws invalid_argument (other dimensions, NaN or infinity: row, column; labels of another shape, a
/// label or factor that is none: row).
std::vector<double> log_density(const context& ctx, const model& m, const data_source& data,
                                const sample_labels& labels = {});
/// r_nk = p(z = k | x_n), with labels given what they say, row-major [n x k], rows sum to one. Entries below 2⁻²⁴/k of
/// the largest may be zero. Throws as log_density().
std::vector<double> responsibilities(const context& ctx, const model& m, const data_source& data,
                                     const sample_labels& labels = {});
/// argmax_k r_nk, the lower index at a tie, [n]. Throws as log_density().
std::vector<std::int32_t> assign(const context& ctx, const model& m, const data_source& data,
                                 const sample_labels& labels = {});

/// The same without an array of all rows: the results of one batch of rows, in order.
struct inference_batch {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    const double* log_density = nullptr;      ///< [rows]
    const double* responsibilities = nullptr; ///< [rows x k], null unless asked for
    const std::int32_t* assignment = nullptr; ///< [rows]
};
void infer(const context& ctx, const model& m, const data_source& data, bool with_responsibilities,
           const std::function<void(const inference_batch&)>& sink, const sample_labels& labels = {});

/// A model ready to be asked many times: made once, it owns an engine with the parameters and memory that grows to the
/// largest call; later calls of up to as many rows, with labels of that kind or without, allocate nothing. The results
/// are those of the functions above, to the bit. One thread at a time; several scorers may be used at once, as contexts
/// may.
class scorer {
public:
    /// Where results go; views without data are left out. Any stride; in device memory only with a CUDA context.
    struct results {
        matrix_view<double> log_density = {};      ///< [n x 1] as log_density()
        matrix_view<double> responsibilities = {}; ///< [n x k]
        matrix_view<std::int32_t> assignment = {}; ///< [n x 1]
    };

    /// For rows of this type: with float32 the engine computes in float32, as it does for such data above. Throws
    /// out_of_memory, not_available, cuda_error.
    scorer(const context& ctx, const model& m, element_type type = element_type::float32);
    scorer(scorer&& other) noexcept;
    scorer& operator=(scorer&& other) noexcept;
    ~scorer();

    /// For the rows of x [n x d] with what is known of them, in host or device memory: the results, which are there
    /// when this returns. Of a cuda context all work is in the order of its stream, and what goes to device memory does
    /// not pass through the host. Throws invalid_argument (shapes, memory out of reach, NaN or infinity: row, column; a
    /// label or factor that is none: row) before anything is written, out_of_memory, cuda_error.
    void infer(const any_matrix_view& x, const results& to, const sample_labels& labels = {});
    /// Rows first ... of what sample() draws with this seed: x [n x d] and, unless without data, the components [n x
    /// 1]. Throws invalid_argument (shapes, first < 0).
    void sample(std::int64_t first, std::uint64_t seed, matrix_view<double> x, matrix_view<std::int32_t> labels = {});

private:
    struct state;
    std::unique_ptr<state> state_;
};

score_result score(const context& ctx, const model& m, const data_source& data, const sample_weights& weights = {},
                   const sample_labels& labels = {});

/// n samples (x, z) of the model, the same on every back end.
struct sample_result {
    std::vector<double> x;            ///< [n x d]
    std::vector<std::int32_t> labels; ///< [n]
};
sample_result sample(const context& ctx, const model& m, std::int64_t n, std::uint64_t seed);

double bic(const model& m, double total_log_likelihood, double total_weight);
double aic(const model& m, double total_log_likelihood);
double icl(const model& m, double total_log_likelihood, double total_entropy, double total_weight);

} // namespace elbo::gmm
