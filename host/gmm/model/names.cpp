#include "host/gmm/model/names.hpp"

namespace elbo::gmm {

ELBO_NAMES(family, family_from_string)
ELBO_NAMES(start_method, start_method_from_string)
ELBO_NAMES(m_step_method, m_step_method_from_string)
ELBO_NAMES(weights_model, weights_model_from_string)
ELBO_NAMES(criterion, criterion_from_string)
ELBO_TO_STRING(event::kind)

} // namespace elbo::gmm
