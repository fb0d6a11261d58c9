// Networks on disk: what models and checkpoints share.
#pragma once

#include "elbo/vae/model.hpp"
#include "host/io/model/model_file.hpp"
#include "kernels/contract/vae_layout.hpp"

#include <string>
#include <vector>

namespace elbo::vae {

inline constexpr io::model_format network_format{"elbo.vae", 1, "a variational autoencoder"};

io::json to_json(const architecture& a);
/// Throws file_error that names the key: missing, of another type, or not allowed by architecture::check().
architecture architecture_from(const io::json& object, const std::string& path);

/// The description and the parameters as tensors encoder.0.weight, encoder.0.bias, ...
io::tensor_file to_tensors(const architecture& a, const std::vector<double>& parameters);
/// The way back. Throws file_error.
model model_from(const io::tensor_file& file, const std::string& path);

} // namespace elbo::vae
