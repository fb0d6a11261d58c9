// What all commands of the tool share: how a command is set up, and what its exit status means.
#pragma once

#include "host/cli/core/command_line.hpp"

namespace elbo::cli {

enum class exit_status {
    success = 0,
    machine_failure = 1, ///< no such device, out of memory, disk full, a CUDA call that failed
    bad_input = 2,       ///< wrong usage, or a file or value that cannot be used
    interrupted = 128    ///< plus the number of the signal (Ctrl-C 130); the best result so far was written
};

/// One run of the tool: the parser sets `run` for the command that was named.
struct invocation {
    std::string command_line; ///< quoted for a shell
    std::function<exit_status()> run;
};

/// Adds a command. `Command` holds its options as they are typed: add_options(parser&) adds them, and
/// run(command_line) does the work.
template <class Command>
void add_command(parser& above, invocation& call, const std::string& name, const std::string& help) {
    parser app = above.add_subcommand(name, help);
    const auto command = std::make_shared<Command>();
    command->add_options(app);
    app.callback([command, &call] { call.run = [command, &call] { return command->run(call.command_line); }; });
}

// Each adds the commands of a file, whose name it has, in the order of the help.
using command_adder = void(parser& above, invocation& call);
command_adder add_mixture_fit, add_mixture_select, add_mixture_variational, add_mixture_stream, add_mixture_apply,
    add_mixture_algebra;
command_adder add_vae_train, add_vae_apply;
command_adder add_latent_fit, add_latent_apply;
command_adder add_devices, add_convert;

} // namespace elbo::cli
