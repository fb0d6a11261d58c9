#include "host/cli/core/info_command.hpp"
#include "host/cli/latent/model.hpp"

namespace elbo::cli {

void add_latent_info(parser& latent, invocation& call) {
    add_command<info_command<latent_kind>>(latent, call, "info", "Print a model");
}

} // namespace elbo::cli
