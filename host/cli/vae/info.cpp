#include "host/cli/core/info_command.hpp"
#include "host/cli/vae/model.hpp"

namespace elbo::cli {

void add_vae_info(parser& vae, invocation& call) {
    add_command<info_command<vae_kind>>(vae, call, "info", "Print a model: layers, sizes, cost");
}

} // namespace elbo::cli
