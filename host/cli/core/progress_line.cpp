#include "host/cli/core/progress_line.hpp"

#include "host/cli/core/text_table.hpp"

#include <fmt/format.h>

namespace elbo::cli {

namespace {

std::string describe(const gmm::progress& now, std::optional<double> previous) {
    const gmm::iteration_record& record = now.record;
    std::string text;
    if (now.restarts > 1)
        text = fmt::format("start {} of {}, ", now.restart + 1, now.restarts);
    text += fmt::format("iteration {}  log-likelihood {:.6f}", record.iteration, record.log_likelihood);
    if (previous)
        text += fmt::format("  gain {:.1e}", record.log_likelihood - *previous);
    if (record.iteration > 0)
        text += fmt::format("  {:.3g} s/iteration", record.seconds / static_cast<double>(record.iteration));
    return text;
}

std::string describe(const gmm::select_progress& now) {
    std::string text =
        fmt::format("{} of {} fits done, {} K = {}", now.finished, now.fits, to_string(now.shape), now.components);
    if (now.fold >= 0)
        text += fmt::format(" without set {}", now.fold);
    return text + ", " + describe(now.fit, {});
}

std::string describe(const vae::train_progress& now, std::optional<double> validation) {
    std::string text = fmt::format("epoch {} of {}  ELBO {:.4f}", now.epoch, now.epochs, now.elbo);
    if (validation)
        text += fmt::format("  validation {:.4f}", *validation);
    return text + fmt::format("  {:.3g} samples/s  {} left", now.samples_per_second, duration_text(now.seconds_left));
}

} // namespace

void progress_line::show(const gmm::progress& now) {
    if (now.restart != restart_)
        previous_.reset();
    restart_ = now.restart;
    if (line_.due())
        line_.show(describe(now, previous_));
    previous_ = now.record.log_likelihood;
}

void sweep_line::show(const gmm::select_progress& now) {
    if (line_.due())
        line_.show(describe(now));
}

void training_line::show(const vae::train_progress& now) {
    if (now.finished)
        validation_ = now.finished->validation_elbo;
    if (line_.due())
        line_.show(describe(now, validation_));
}

} // namespace elbo::cli
