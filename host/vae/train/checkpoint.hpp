// All that training needs to go on to the same bits, and its file.
#pragma once

#include "elbo/vae/train.hpp"
#include "host/fields.hpp"
#include "host/io/model/json.hpp"
#include "host/vae/train/epoch_sums.hpp"
#include "kernels/contract/vae_engine.hpp"

#include <string>
#include <vector>

namespace elbo {

template <>
inline constexpr name_table names<kernels::step_record::term>{
    "term", {"nothing", "reconstruction term", "KL term", "objective", "gradient"}};

template <>
inline constexpr auto fields<vae::epoch_sums> = [] {
    using s = vae::epoch_sums;
    return table<s>(field{"rows", &s::rows}, field{"reconstruction", &s::reconstruction}, field{"kl", &s::kl},
                    field{"squared_error", &s::squared_error}, field{"objective", &s::objective},
                    field{"weighted_squared_error", &s::weighted_squared_error}.later(),
                    field{"learning_rate", &s::learning_rate}, field{"gradient_norm", &s::gradient_norm},
                    field{"seconds", &s::seconds});
}();

template <>
inline constexpr auto fields<kernels::running_scale> = [] {
    using s = kernels::running_scale;
    return table<s>(field{"squared_error", &s::squared_error}, field{"rows", &s::rows});
}();

namespace vae {

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
    /// How a library did the products of the last step (vae_engine::products): what bits depend on beside the options.
    /// Of no effect when training goes on.
    std::vector<std::string> products;
};

/// What decides the bits of a run that learns from so many rows and is judged by others, by name.
io::json describe(const train_options& o, std::int64_t rows, std::int64_t validation_rows);

void write_checkpoint(const std::string& path, const architecture& a, const io::json& options, const training_state& s);
/// Throws file_error (not there, corrupt, no checkpoint), and invalid_argument where architecture or options are not
/// those of this call, saying what differs.
training_state read_checkpoint(const std::string& path, const architecture& a, const io::json& options);
/// Throws file_error unless so many rows, in batches of that size, can be gone on with from there.
void check_position(const training_state& s, std::int64_t rows, std::int64_t batch, const std::string& path);
/// The architecture of a checkpoint. Throws file_error.
architecture checkpoint_architecture(const std::string& path);

} // namespace vae

} // namespace elbo
