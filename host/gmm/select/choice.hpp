// Which cell of a sweep is the best, and why.
#pragma once

#include "elbo/gmm/select.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::gmm {

struct selection {
    std::int64_t cell = -1; ///< −1: no cell has a value of the criterion
    std::string reason;
};

/// The best of the cells without an error. At equal values the fewest parameters, then the first in the table.
selection choose(const std::vector<select_cell>& table, criterion by, bool one_standard_error);

} // namespace elbo::gmm
