// Results of networks, piece by piece.
#pragma once

#include "elbo/buffer.hpp"
#include "elbo/vae/infer.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace elbo::vae {

/// An engine with the parameters of a model, and memory that grows to the largest call.
class session {
public:
    session(const context& ctx, const model& m);

    /// decode(E_q[z | x]), in memory that the engine can reach; complete when this returns.
    void reconstruct(const kernels::vae_rows& rows, matrix_view<float> out);
    /// Rows first ... of the samples with these options, in host memory without gaps.
    void sample(std::int64_t first, std::int64_t rows, const sample_options& options, float* out);
    /// Rows of results that are held at a time.
    std::int64_t piece_rows() const;

    const context ctx;
    const model of;
    const std::unique_ptr<kernels::vae_engine> engine;

private:
    std::optional<buffer<float>> latents_; ///< [rows x 2 latent]
    std::vector<float> z_;
};

/// A sink that keeps all rows in `out` [rows x cols], one behind the other.
row_sink collect(std::vector<float>& out);

} // namespace elbo::vae
