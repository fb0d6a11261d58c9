#include "host/latent/names.hpp"

namespace elbo::latent {

ELBO_NAMES(factor_kind, factor_kind_from_string)
ELBO_NAMES(factor_method, factor_method_from_string)
ELBO_NAMES(factor_start, factor_start_from_string)
ELBO_TO_STRING(factor_event::kind)
ELBO_TO_STRING(sphere_event::kind)

} // namespace elbo::latent
