// How the fits of a sweep share a machine. Pure functions of shapes.
#pragma once

#include "elbo/context.hpp"

#include <cstdint>

namespace elbo::gmm {

/// Shape of one fit.
struct fit_shape {
    std::int64_t rows = 0, dimensions = 0, components = 0;
};

/// Whether one fit keeps all threads of a cpu context busy. A thread takes a unit of rows at a time, so there must be
/// two units for each; and an iteration must be long beside the start and the end of a parallel loop (some µs, against
/// about a ms for 2²² numbers times components).
bool fills_machine(const fit_shape& s, std::int64_t threads);

/// Whether the restarts of a fit may run apart from each other with the same result: where every start looks at all
/// rows, so that the sample of rows is the same one.
bool has_separate_restarts(const fit_shape& s);

/// Numbers touched by an iteration: fits with more of them are begun first, so that no long one is left for the end.
double cost(const fit_shape& s, bool matrices);

/// Fits that run at the same time: as many as are wanted (positive), as there are, and as `available` bytes hold.
std::int64_t side_by_side(std::int64_t wanted, std::int64_t fits, std::int64_t bytes_each, std::int64_t available);

} // namespace elbo::gmm
