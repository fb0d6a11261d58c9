// Reading while the rows read before are worked on.
#pragma once

#include "elbo/data_source.hpp"

#include <memory>

namespace elbo::io {

/// The batches of another reader of host memory, each read by a thread while the caller uses the one before, into one
/// of two buffers. What the other reader throws, next() throws.
std::unique_ptr<batch_reader> read_ahead(std::unique_ptr<batch_reader> reader);

} // namespace elbo::io
