// What all commands of the tool share: how a command is set up, and what its exit status means.
#pragma once

#include "elbo/error.hpp"

#include <CLI/CLI.hpp>
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
void add_mixture_fit(CLI::App& mixture, invocation& call);
void add_mixture_select(CLI::App& mixture, invocation& call);
void add_mixture_variational(CLI::App& mixture, invocation& call);
void add_mixture_accumulate(CLI::App& mixture, invocation& call);
void add_mixture_maximize(CLI::App& mixture, invocation& call);
void add_mixture_update(CLI::App& mixture, invocation& call);
void add_mixture_evidence(CLI::App& mixture, invocation& call);
void add_mixture_score(CLI::App& mixture, invocation& call);
void add_mixture_assign(CLI::App& mixture, invocation& call);
void add_mixture_sample(CLI::App& mixture, invocation& call);
void add_mixture_info(CLI::App& mixture, invocation& call);
void add_mixture_marginal(CLI::App& mixture, invocation& call);
void add_mixture_condition(CLI::App& mixture, invocation& call);
void add_mixture_divergence(CLI::App& mixture, invocation& call);
void add_vae_train(CLI::App& vae, invocation& call);
void add_vae_evaluate(CLI::App& vae, invocation& call);
void add_vae_encode(CLI::App& vae, invocation& call);
void add_vae_decode(CLI::App& vae, invocation& call);
void add_vae_reconstruct(CLI::App& vae, invocation& call);
void add_vae_sample(CLI::App& vae, invocation& call);
void add_vae_interpolate(CLI::App& vae, invocation& call);
void add_vae_info(CLI::App& vae, invocation& call);
void add_latent_fit(CLI::App& latent, invocation& call);
void add_latent_score(CLI::App& latent, invocation& call);
void add_latent_posterior(CLI::App& latent, invocation& call);
void add_latent_reconstruct(CLI::App& latent, invocation& call);
void add_latent_sample(CLI::App& latent, invocation& call);
void add_latent_info(CLI::App& latent, invocation& call);
void add_devices(CLI::App& app, invocation& call);
void add_convert(CLI::App& app, invocation& call);

} // namespace elbo::cli
