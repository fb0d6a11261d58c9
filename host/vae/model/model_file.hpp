// Networks on disk: what models and checkpoints share.
#pragma once

#include "elbo/vae/model.hpp"
#include "host/io/model/model_archive.hpp"

#include <vector>

namespace elbo::vae {

inline constexpr io::model_format network_format{"elbo.vae", 1, "a variational autoencoder"};

io::json to_json(const architecture& a);
/// Reading throws file_error that names the key: missing, of another type, or not allowed by architecture::check().
architecture read_architecture(const io::archive_reader& file);

/// The members of a model in a file: its architecture, and tensors encoder.0.weight, encoder.0.bias, ... Reading throws
/// file_error.
void write_members(io::archive_writer& file, const architecture& a, const std::vector<double>& parameters);
model read_members(io::archive_reader& file);

} // namespace elbo::vae
