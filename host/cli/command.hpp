// What all commands of the tool share: how a command is set up, and what its exit status means.
#pragma once

#include "elbo/error.hpp"
#include "host/cli/core/command_line.hpp"

#include <functional>
#include <string>

namespace elbo::cli {

enum class exit_status {
    success = 0,
    machine_failure = 1, ///< no such device, out of memory, disk full, a CUDA call that failed
    bad_input = 2,       ///< wrong usage, or a file or value that cannot be used
    interrupted = 130    ///< Ctrl-C; the best result so far was written
};

/// One run of the tool: the parser sets `run` for the command that was named.
struct invocation {
    std::string command_line; ///< quoted for a shell
    std::function<exit_status()> run;
};

// Each adds one command and lives in a file of that name.
void add_mixture_fit(parser& mixture, invocation& call);
void add_mixture_select(parser& mixture, invocation& call);
void add_mixture_variational(parser& mixture, invocation& call);
void add_mixture_accumulate(parser& mixture, invocation& call);
void add_mixture_maximize(parser& mixture, invocation& call);
void add_mixture_update(parser& mixture, invocation& call);
void add_mixture_evidence(parser& mixture, invocation& call);
void add_mixture_score(parser& mixture, invocation& call);
void add_mixture_assign(parser& mixture, invocation& call);
void add_mixture_sample(parser& mixture, invocation& call);
void add_mixture_info(parser& mixture, invocation& call);
void add_mixture_marginal(parser& mixture, invocation& call);
void add_mixture_condition(parser& mixture, invocation& call);
void add_mixture_divergence(parser& mixture, invocation& call);
void add_vae_train(parser& vae, invocation& call);
void add_vae_evaluate(parser& vae, invocation& call);
void add_vae_encode(parser& vae, invocation& call);
void add_vae_decode(parser& vae, invocation& call);
void add_vae_reconstruct(parser& vae, invocation& call);
void add_vae_sample(parser& vae, invocation& call);
void add_vae_interpolate(parser& vae, invocation& call);
void add_vae_info(parser& vae, invocation& call);
void add_latent_fit(parser& latent, invocation& call);
void add_latent_score(parser& latent, invocation& call);
void add_latent_posterior(parser& latent, invocation& call);
void add_latent_reconstruct(parser& latent, invocation& call);
void add_latent_sample(parser& latent, invocation& call);
void add_latent_info(parser& latent, invocation& call);
void add_devices(parser& app, invocation& call);
void add_convert(parser& app, invocation& call);

} // namespace elbo::cli
