#include "host/vae/model/names.hpp"

namespace elbo::vae {

ELBO_NAMES(activation, activation_from_string)
ELBO_NAMES(likelihood_family, likelihood_from_string)
ELBO_NAMES(gaussian_scale, gaussian_scale_from_string)
ELBO_NAMES(count_mean, count_mean_from_string)
ELBO_NAMES(encoder_input, encoder_input_from_string)
ELBO_NAMES(decoder_kind, decoder_kind_from_string)
ELBO_NAMES(objective, objective_from_string)
ELBO_NAMES(gradient_estimator, gradient_estimator_from_string)
ELBO_NAMES(optimizer_kind, optimizer_from_string)
ELBO_NAMES(training_precision, training_precision_from_string)
ELBO_TO_STRING(schedule::kind)
ELBO_TO_STRING(train_stop)

} // namespace elbo::vae
