// All that training needs to go on to the same bits, and its file.
#pragma once

#include "elbo/vae/train.hpp"
#include "host/io/model/json.hpp"
#include "host/vae/train/epoch_sums.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace elbo::vae {

/// The best epoch on the validation data.
struct best_state {
    std::int64_t epoch = 0; ///< 0: none yet
    double elbo = 0;
    std::vector<double> parameters; ///< what the result would be: averaged where weights are averaged
};

struct training_state {
    std::vector<double> parameters;
    kernels::optimizer_state optimizer;
    std::int64_t epoch = 0; ///< whole epochs done
    std::int64_t step = 0;  ///< steps done in the epoch under way
    epoch_sums sums;
    kernels::running_scale scale; ///< gaussian_scale::optimal: of the steps done
    std::vector<epoch_record> history;
    best_state best;
    std::int64_t window_rows = 0; ///< rows taken at a time
    double seconds = 0;           ///< since training began
};

/// Rows that a run learns from and is judged by.
struct data_sizes {
    std::int64_t rows = 0, validation_rows = 0;
};

/// What decides the bits of a run, by name.
io::json describe(const train_options& o, const data_sizes& sizes);

void write_checkpoint(const std::string& path, const architecture& a, const io::json& options, const training_state& s);
/// Throws file_error (not there, corrupt, no checkpoint), and invalid_argument where architecture or options are not
/// those of this call, saying what differs.
training_state read_checkpoint(const std::string& path, const architecture& a, const io::json& options);
/// The architecture of a checkpoint. Throws file_error.
architecture checkpoint_architecture(const std::string& path);

} // namespace elbo::vae
