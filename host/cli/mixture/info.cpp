#include "host/cli/core/info_command.hpp"
#include "host/cli/mixture/model.hpp"

namespace elbo::cli {

void add_mixture_info(parser& mixture, invocation& call) {
    add_command<info_command<mixture_kind>>(mixture, call, "info", "Print a model");
}

} // namespace elbo::cli
