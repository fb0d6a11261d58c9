// A checkpoint is the file of a model (host/vae/model/model.cpp) with more in it: metadata "training" {"options",
// "position", "sums", "scale", "best", "products"} as JSON text, tensors optimizer.first_moment,
// optimizer.second_moment, optimizer.average, best.parameters (flat, where there are any) and history [epochs x
// columns].
#include "host/vae/train/checkpoint.hpp"

#include "host/check.hpp"
#include "host/io/errors.hpp"
#include "host/io/model/fit_state.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/vae/fields.hpp"
#include "host/vae/model/model_file.hpp"

#include <fmt/format.h>
#include <tuple>
#include <type_traits>

namespace elbo::vae {

namespace {

using io::json;

/// What says how far training is, beside its vectors. Returns whether the scale that runs along with the steps is
/// among it, which older versions did not have.
template <class Archive, class State, class Options>
bool describe_training(Archive& file, State& s, Options& options) {
    bool has_scale = true;
    file.object("training", [&](auto& to) {
        to.object("options", [&](auto& all) { all.members(options); });
        to.object("position", [&](auto& position) {
            position.member("epoch", s.epoch);
            position.member("step", s.step);
            position.member("optimizer_steps", s.optimizer.steps);
            position.member("window_rows", s.window_rows);
            position.member("seconds", s.seconds);
        });
        to.member("sums", s.sums);
        has_scale = to.has("scale", true);
        if (has_scale)
            to.member("scale", s.scale);
        to.object("best", [&](auto& best) {
            best.member("epoch", s.best.epoch);
            best.member("elbo", s.best.elbo);
        });
        if (to.has("products", !s.products.empty()))
            to.member("products", s.products);
    });
    return has_scale;
}

/// Throws invalid_argument that names the first member of `now` that `stored` has with another value: "resume = 'FILE':
/// it was written with the option seed = 1, this call has 2".
void require_same(const json& stored, const json& now, std::string_view what, const std::string& path) {
    for (const auto& [key, value] : now.items()) {
        const json there = stored.value(key, json());
        expects(there == value, [&, &name = key, &wanted = value] {
            return fmt::format("resume = '{}': it was written with {} {} = {}, this call has {}", path, what, name,
                               io::json_text(there), io::json_text(wanted));
        });
    }
}

/// The vectors beside the parameters, of which there are n.
template <class Archive, class State>
void describe_vectors(Archive& file, State& s, std::int64_t n) {
    const auto vector = [&](const char* name, auto& values) { file.tensor(name, {n}, values, io::packing::compact); };
    vector("optimizer.first_moment", s.optimizer.first_moment);
    vector("optimizer.second_moment", s.optimizer.second_moment);
    if (file.has("optimizer.average", !s.optimizer.average.empty()))
        vector("optimizer.average", s.optimizer.average);
    if (file.has("best.parameters", !s.best.parameters.empty()))
        vector("best.parameters", s.best.parameters);
    constexpr std::int64_t columns = std::tuple_size_v<std::remove_cvref_t<decltype(fields<epoch_record>)>>;
    io::fit_arrays arrays;
    if constexpr (!Archive::reads)
        io::state_writer(arrays, "").records("history", s.history);
    file.tensor("history", {-1, columns}, arrays["history"]);
    if constexpr (Archive::reads)
        io::state_reader(arrays, "", file.path()).records("history", s.history);
}

} // namespace

json describe(const train_options& o, std::int64_t rows, std::int64_t validation_rows) {
    io::member_writer options;
    options.members(o);
    options.member("rows", rows);
    options.member("validation_rows", validation_rows);
    options.member("batch", o.batch.value_or(0));
    if (o.schedule.form == schedule::kind::cosine)
        options.member("epochs", o.epochs); // else a run may go on for longer than was meant at first
    return options.take();
}

void write_checkpoint(const std::string& path, const architecture& a, const json& options, const training_state& s) {
    io::archive_writer file(path, network_format);
    write_members(file, a, s.parameters);
    describe_training(file, s, options);
    describe_vectors(file, s, static_cast<std::int64_t>(s.parameters.size()));
    const io::commit_group at_once(false); // a crash is what it is for
    file.commit();
}

training_state read_checkpoint(const std::string& path, const architecture& a, const json& options) {
    io::archive_reader file(path, network_format);
    const json stored = to_json(read_architecture(file));
    json now = to_json(a);
    if (!stored.contains("column_names")) // of data without names, or by a version that kept none
        now.erase("column_names");
    require_same(stored, now, "the architecture", path);
    if (!file.has("training"))
        file.fail("expected a checkpoint of training; this is a model without the state of an optimiser");
    training_state s;
    json stored_options;
    const bool has_scale = describe_training(file, s, stored_options);
    require_same(stored_options, options, "the option", path);
    // An older version took the scale of each batch by itself, and its sums are of another bound.
    expects(!has_optimal_scale(a) || has_scale, [&] {
        return fmt::format("resume = '{}': it was written by a version that took the optimal scale of each batch by "
                           "itself, and cannot be gone on with to the same numbers: expected a newer one; train from "
                           "its parameters instead (start)",
                           path);
    });
    s.parameters = read_members(file).parameters();
    describe_vectors(file, s, static_cast<std::int64_t>(s.parameters.size()));
    return s;
}

void check_position(const training_state& s, std::int64_t rows, std::int64_t batch, const std::string& path) {
    const std::int64_t steps = (rows + batch - 1) / batch;
    const bool inside = s.epoch >= 0 && s.step >= 0 && s.step < steps;
    const bool windows_end_with_steps =
        s.window_rows == rows || (s.window_rows >= 1 && s.window_rows < rows && s.window_rows % batch == 0);
    if (!inside || !windows_end_with_steps)
        io::fail(path, fmt::format("position: epoch {}, step {}, window_rows {}: expected a step below {} and windows "
                                   "that are multiples of the batch",
                                   s.epoch, s.step, s.window_rows, steps));
}

architecture checkpoint_architecture(const std::string& path) {
    return read_architecture(io::archive_reader(path, network_format));
}

} // namespace elbo::vae
