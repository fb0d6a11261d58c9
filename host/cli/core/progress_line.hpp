// Progress of fits and trainings on standard error.
#pragma once

#include "host/cli/core/status_line.hpp"

#include "elbo/gmm/fit.hpp"
#include "elbo/gmm/select.hpp"
#include "elbo/vae/train.hpp"

#include <optional>
#include <string>

namespace elbo::cli {

/// Iterations of a fit.
class progress_line {
public:
    explicit progress_line(bool quiet) : line_(quiet) {}
    void show(const gmm::progress& now);

private:
    status_line line_;
    std::int64_t restart_ = -1;
    std::optional<double> previous_; ///< log-likelihood one iteration before
};

/// Fits of a sweep over models.
class sweep_line {
public:
    explicit sweep_line(bool quiet) : line_(quiet) {}
    void show(const gmm::select_progress& now);

private:
    status_line line_;
};

/// Epochs of a training.
class training_line {
public:
    explicit training_line(bool quiet) : line_(quiet) {}
    void show(const vae::train_progress& now);

private:
    status_line line_;
    std::optional<double> validation_; ///< ELBO after the last epoch
};

} // namespace elbo::cli
