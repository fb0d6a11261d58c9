#include "host/fit_fields.hpp"

namespace elbo {

ELBO_NAMES(collapse_policy, collapse_policy_from_string)
ELBO_TO_STRING(stop_reason)

} // namespace elbo
