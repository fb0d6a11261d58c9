// The one place where broken rules become exceptions.
#pragma once

#include "elbo/error.hpp"

namespace elbo {

/// Throws invalid_argument with message() unless `ok`. The message names the argument, its value and what was expected;
/// it is only made when it is needed.
template <class Message>
void expects(bool ok, const Message& message) {
    if (!ok)
        throw invalid_argument(message());
}

} // namespace elbo
