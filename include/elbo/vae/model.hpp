// A variational autoencoder: architecture and parameters.
#pragma once

#include "elbo/context.hpp"
#include "elbo/vae/architecture.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::vae {

/// A model is a value. Parameters are one flat vector: encoder layers, then decoder layers, each W [inputs x outputs]
/// row-major and b [outputs]; then r [1] and m [d] of a sphere decoder; then the parameter of the likelihood itself,
/// such as ln σ² of gaussian ([1] for learned and optimal, [d] for learned_per_dimension, nothing for fixed). The last
/// encoder layer puts out the means [latent] and then what becomes the log-variances [latent].
class model {
public:
    /// Glorot-uniform weights (He-uniform for ReLU, GELU and SiLU) drawn by Philox from the seed, zero biases. With
    /// data_mean [d], the output bias is what gives that mean where z = 0: logits for bernoulli and categorical, the
    /// mean itself for gaussian, the inverse of count_mean for counts. Throws invalid_argument.
    explicit model(const vae::architecture& a, std::uint64_t seed = 0, const std::vector<double>& data_mean = {});
    /// From given parameters. Throws invalid_argument: wrong number, not finite.
    model(const vae::architecture& a, std::vector<double> parameters);

    const vae::architecture& architecture() const noexcept { return architecture_; }
    const std::vector<double>& parameters() const noexcept { return parameters_; }
    /// σ of a gaussian likelihood: [1], or [d] for learned_per_dimension. Empty for the other likelihoods.
    std::vector<double> sigma() const;
    /// The parameter of whatever likelihood it is, in the same way.
    std::vector<double> own_parameter() const;

    /// Writes .safetensors (tensors encoder.0.weight, encoder.0.bias, ..., in float32 where that is exact, else
    /// float64) or .json. Throws file_error, invalid_argument for another ending. Never leaves half a file.
    void save(const std::string& path) const;
    /// Also reads checkpoints (its parameters). Throws file_error that says what is wrong where.
    static model load(const std::string& path);

private:
    vae::architecture architecture_;
    std::vector<double> parameters_;
};

} // namespace elbo::vae
