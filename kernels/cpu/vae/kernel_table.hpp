// What the engine of variational autoencoders and its vector kernels share: plain views, and a table of the kernels of
// one instruction set.
//
// Storage. A matrix [rows x columns] lies in panels of 16 columns: panel p holds [rows][16] numbers, columns that are
// missing in the last panel are zero. So the numbers that a tile of a product needs are next to each other, whatever
// the widths: of an activation as the left factor and as the right one (in weight gradients), of weights
// [inputs x outputs] as the right factor. The product with the transpose has a transposed copy.
//
// Arithmetic. Each element of a product is a sum in ascending order, cut every 256 terms, whatever the tile that it is
// worked out in; so no result depends on how rows and columns are shared out among threads and calls.
#pragma once

#include "elbo/vae/architecture.hpp"
#include "kernels/math/vae_latent.hpp"
#include "kernels/math/vae_optimizer.hpp"
#include "kernels/math/vae_random.hpp"

#include <cstdint>

namespace elbo::kernels::cpu {

inline constexpr std::int64_t panel_width = 16;
constexpr std::int64_t panels_of(std::int64_t columns) {
    return (columns + panel_width - 1) / panel_width;
}

/// Panels over which a likelihood is summed in float32 before it goes on in float64.
inline constexpr std::int64_t group_panels = 8;

/// A matrix in panels; from one panel to the next it is `stride` numbers.
struct panel_matrix {
    float* data = nullptr;
    std::int64_t stride = 0;
    float* at(std::int64_t panel, std::int64_t row) const { return data + panel * stride + row * panel_width; }
};

/// Rows and panels of an output that a task works on.
struct panel_range {
    std::int64_t first_row, last_row, first_panel, last_panel;
};

/// y = f(x W + b). The columns of the last encoder layer are two halves, means and log-variances, each in panels of
/// its own: then `halves` is 2.
struct layer_view {
    std::int64_t inputs, outputs, halves;
    std::int64_t input_panels, output_panels;
    vae::activation form;
    const float* weights;    ///< panels of [input_panels · 16 rows]
    const float* transposed; ///< panels of [output_panels · 16 rows]
    const float* bias;       ///< [output_panels · 16]

    /// Columns of panel p that are not padding.
    std::int64_t columns_of(std::int64_t p) const {
        const std::int64_t panels = output_panels / halves, rest = outputs / halves - p % panels * panel_width;
        return rest < panel_width ? rest : panel_width;
    }
};

/// Rows of data in panels, and which of them a row of the decoder belongs to, with its draw.
struct target_view {
    panel_matrix x;
    const std::int32_t* row;    ///< of each row of the decoder
    const std::int32_t* draw;   ///< its number
    const std::uint64_t* index; ///< of each row of data in the user's data
    const float* total;         ///< sum of each row of data, where it is a factor of the mean; else null
};

struct likelihood_view {
    vae::likelihood_family family;
    vae::count_mean mean;
    std::int64_t dimensions;
    const float *own, *prepared; ///< [panels · 16] own parameter and prepare() of it (ln σ², 1/σ²); 0 in the padding
    const std::int64_t* blocks; ///< sizes; null for likelihoods of single numbers
    std::int64_t block_count;
};

/// Where the likelihood kernels put their sums: [rows][groups].
struct likelihood_sums {
    double* value;  ///< Σ log p, of gaussian without constant() of likelihood traits
    double* second; ///< Σ of the likelihood's second_sum
    std::int64_t groups;
    panel_matrix own_gradient; ///< or no data: the derivative with respect to each own parameter
};

/// q(z|x) of rows of data, and its draws.
struct latent_view {
    std::int64_t units;
    panel_matrix heads;        ///< what the encoder puts out: means and a, panels of each
    panel_matrix log_variance; ///< ln σ²
    panel_matrix sigma;
};
struct draw_view {
    panel_matrix noise, z;
    double* log_ratio; ///< [rows of the decoder] ln p(z) − ln q(z|x)
};

/// What the gradient of the encoder is made of.
struct latent_gradient_view {
    latent_rule rule;
    panel_matrix likelihood_gradient; ///< ∂ ln p(x|z)/∂z of each row of the decoder, with its weight
    const double* weights;            ///< [rows of the decoder]
    const float* unit_kl_weight;      ///< [panels · 16] weight of the closed form of each unit
    std::int64_t samples;
    panel_matrix out; ///< gradient of the heads
};

/// Parameters of a tile, their gradient and the optimiser's state.
struct parameter_view {
    float *parameter, *gradient, *first_moment, *second_moment, *average; ///< average: or null
    bool is_weight;
    float average_decay, one_minus_decay;
};

/// A row of resident data.
struct stored_row {
    const void* data;
    int storage; ///< of kernels::row_storage
};

struct vae_table {
    /// Rows of activations: sums before the activation go to `sums` where its data are not null.
    void (*forward)(const layer_view&, const panel_matrix& in, const panel_matrix& sums, const panel_matrix& out,
                    const panel_range&);
    /// Gradient with respect to the input of a layer, times the slope of the activation `form` there (of `kept`).
    void (*backward)(const layer_view&, const panel_matrix& gradient, vae::activation form, const panel_matrix& kept,
                     const panel_matrix& out, const panel_range&);
    /// gradient[16][16] = scale · Σ_rows xᵀ g of one panel each; returns the sum of its squares.
    double (*weight_gradient)(const float* x, const float* g, std::int64_t rows, float scale, float* gradient);
    /// gradient[16] = scale · Σ_rows g of one panel; returns the sum of its squares.
    double (*bias_gradient)(const float* g, std::int64_t rows, float scale, float* gradient);

    /// log p(x|z) of decoder rows and its gradient, which replaces the outputs where `scale` is not 0 and is
    /// multiplied with it. For blocks the panels are all.
    void (*likelihood)(const likelihood_view&, const target_view&, const panel_matrix& outputs, float scale,
                       const likelihood_sums&, const panel_range&);
    /// Replaces outputs by means.
    void (*means)(const likelihood_view&, const panel_matrix& outputs, const panel_range&);
    /// g = weight · factor · g over the rows of a panel; sums [16] of weight · g², if not null.
    void (*weigh)(float* g, const double* weights, float factor, std::int64_t rows, double* sums);

    /// ln σ², σ and KL of rows of data.
    void (*posterior)(const latent_view&, std::int64_t first_row, std::int64_t last_row, double* kl);
    /// Noise and z of decoder rows; log_ratio where not null.
    void (*draw)(const latent_view&, const target_view&, const noise_key&, const draw_view&, std::int64_t first_row,
                 std::int64_t last_row);
    void (*latent_gradient)(const latent_view&, const draw_view&, const latent_gradient_view&, std::int64_t first_row,
                            std::int64_t last_row);

    /// Expands a stored row into panels; with a key its values become 0 or 1 at random.
    void (*expand)(const stored_row&, std::int64_t dimensions, const noise_key*, std::uint64_t index, float* out,
                   std::int64_t stride);

    /// out = ln(1 + in) of panels [panels][rows] as x has them.
    void (*log_input)(const panel_matrix& in, const panel_matrix& out, const panel_range&);

    /// One step of the optimiser on `count` numbers, a multiple of 16.
    void (*optimize)(const optimizer_step<float>&, const parameter_view&, std::int64_t count);
    /// out[j][i] = block[i][j], 16 x 16.
    void (*transpose)(const float* block, float* out);
};

} // namespace elbo::kernels::cpu
