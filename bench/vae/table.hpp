// Networks by name, and the list of what is measured on GPUs.
#pragma once

#include "elbo/vae/train.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbo::bench {

/// 784-200-200-50-tanh: widths from the data to the latent space and the activation; the decoder mirrors the encoder.
/// Throws invalid_argument.
vae::architecture parse_network(const std::string& name);

/// Multiplications of one forward pass through the decoder, or the whole network.
double forward_macs(const vae::architecture& a, bool decoder_alone);

/// A line of the list. Times in microseconds of one step, or of the whole operation; none where there are none.
struct table_row {
    std::string network, operation;
    std::int64_t batch;
    vae::training_precision precision;
    std::optional<double> before = {};  ///< of elbo on one H200, 29 November 2026
    std::optional<double> pytorch = {}; ///< the best of PyTorch 2.11 in the same run
    std::optional<double> target = {};
};
/// Networks I (784-200-200-50) and L (784-1024-1024-128) at their batches in each arithmetic, the importance bound and
/// evaluation; and twelve networks of other sizes at a batch of 512.
const std::vector<table_row>& network_table();

/// Writes what each line should take as a table, and of the other networks the ratio to what I and L lead to expect.
void write_predictions();

} // namespace elbo::bench
