// The command line tool: parses, runs the command that was named, and turns exceptions into messages and exit statuses.
#include "host/cli/command.hpp"
#include "host/cli/core/outputs.hpp"
#include "host/cli/core/progress.hpp"
#include "host/cli/core/startup.hpp"
#include "host/io/write/atomic_file.hpp"

#include "elbo/version.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <initializer_list>
#include <new>
#include <stdexcept>

namespace elbo::cli {
namespace {

// The word as a shell would take it.
std::string quoted(std::string_view word) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos)
        return std::string(word);
    std::string out = "'";
    for (const char c : word)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string command_line(int argc, char** argv) {
    std::string line = "elbo";
    for (int i = 1; i < argc; ++i)
        line.append(" ").append(quoted(argv[i]));
    return line;
}

exit_status fail(exit_status status, std::string message, const std::string& advice) {
    std::replace(message.begin(), message.end(), '\n', ' ');
    fmt::print(stderr, "elbo: error: {}\n", message);
    if (!advice.empty())
        fmt::print(stderr, "elbo: {}\n", advice);
    return status;
}

void add_group(parser& app, invocation& call, const char* name, const char* help,
               std::initializer_list<command_adder*> commands) {
    parser group = app.add_group(name, help);
    for (command_adder* const add : commands)
        add(group, call);
}

void set_up(parser& app, invocation& call) {
    add_group(app, call, "mixture",
              "Gaussian mixtures: fit, select, variational, accumulate, maximize, update, score, evidence, assign, "
              "sample, info, marginal, condition, divergence",
              {add_mixture_fit, add_mixture_select, add_mixture_variational, add_mixture_stream, add_mixture_apply,
               add_mixture_algebra});
    add_group(app, call, "vae",
              "Variational autoencoders: train, evaluate, encode, decode, reconstruct, sample, interpolate, info",
              {add_vae_train, add_vae_apply});
    add_group(app, call, "latent",
              "Factor analysis, probabilistic PCA and points near a sphere: fit, score, posterior, reconstruct, "
              "sample, info",
              {add_latent_fit, add_latent_apply});
    add_devices(app, call);
    add_convert(app, call);
}

exit_status run_command(const invocation& call, const std::string& help) {
    try {
        io::commit_group files; // all of them or none
        const exit_status status = call.run();
        writing([&] { files.commit(); });
        return status;
    } catch (const interrupted&) {
        return fail(exit_status::interrupted, "interrupted", "");
    } catch (const write_failure& e) {
        return fail(exit_status::machine_failure, e.what(), "check the free space and the permissions of its folder");
    } catch (const not_available& e) {
        return fail(exit_status::machine_failure, e.what(), "'elbo devices' lists what can be used here");
    } catch (const out_of_memory& e) {
        return fail(exit_status::machine_failure, e.what(),
                    "try fewer columns or components, a smaller --batch, or another --device");
    } catch (const std::bad_alloc&) {
        return fail(exit_status::machine_failure, "out of memory",
                    "try fewer columns or components, or a smaller --batch");
    } catch (const std::length_error&) { // of a vector
        return fail(exit_status::machine_failure, "out of memory",
                    "try fewer samples, columns or components, or a smaller --batch");
    } catch (const cuda_error& e) {
        return fail(exit_status::machine_failure, e.what(), "'--device cpu' computes without the GPU");
    } catch (const file_error& e) {
        return fail(exit_status::bad_input, e.what(),
                    "check the path and the contents; '" + help + "' names the formats");
    } catch (const error& e) {
        return fail(exit_status::bad_input, e.what(), "see '" + help + "'");
    } catch (const std::exception& e) {
        return fail(exit_status::machine_failure, e.what(), "this should not happen: please report it");
    }
}

exit_status run(int argc, char** argv) {
    parser app("elbo", "Latent-variable models fitted by raising the evidence lower bound, on GPUs and CPUs",
               fmt::format("elbo {}", version));
    invocation call{command_line(argc, argv), {}};
    set_up(app, call);
    try {
        if (!app.parse(argc, argv))
            return exit_status::success;
    } catch (const usage_error& e) {
        return fail(exit_status::bad_input, e.what(), "see '" + app.command_name() + " --help'");
    }
    return run_command(call, app.command_name() + " --help");
}

} // namespace

} // namespace elbo::cli

int main(int argc, char** argv) {
    using namespace elbo::cli;
    begin_process();
    const exit_status status = run(argc, argv);
    return static_cast<int>(status) + (status == exit_status::interrupted ? interrupting_signal() : 0);
}
