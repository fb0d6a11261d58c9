// The rows of a sweep: read once, where all of its fits find them.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"

#include <cstdint>

namespace elbo::gmm {

/// The rows of `data` as one matrix in the memory that the context computes on: `data` itself where it is one, a copy
/// where that fits into half of `memory_limit` (0: of what is free), else `data`, which is then no matrix there. The
/// copy keeps description and column names. Throws file_error, out_of_memory, cuda_error.
data_source keep_rows(const context& ctx, const data_source& data, std::int64_t memory_limit);

/// Whether a context reads these rows without a copy in each pass.
bool is_resident(const context& ctx, const data_source& data);

} // namespace elbo::gmm
