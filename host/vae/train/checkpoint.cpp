// A checkpoint is the file of a model (host/vae/model/model_file.cpp) with more in it: metadata "training" {"options",
// "position", "sums", "scale", "best"} as JSON text, tensors optimizer.first_moment, optimizer.second_moment,
// optimizer.average, best.parameters (flat, where there are any) and history [epochs x columns].
#include "host/vae/train/checkpoint.hpp"

#include "host/check.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/vae/model/model_file.hpp"

#include <fmt/format.h>
#include <limits>
#include <type_traits>

namespace elbo::vae {

namespace {

using io::json;

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

std::optional<double> present(double value) {
    return value == value ? std::optional(value) : std::nullopt;
}

constexpr std::int64_t history_columns = 13;

template <class Record, class Visit>
void for_each_column(Record& r, const Visit& visit) {
    visit(r.epoch);
    visit(r.step);
    visit(r.train_elbo);
    visit(r.train_reconstruction);
    visit(r.train_kl);
    visit(r.train_objective);
    visit(r.validation_elbo);
    visit(r.validation_reconstruction);
    visit(r.validation_kl);
    visit(r.learning_rate);
    visit(r.gradient_norm);
    visit(r.seconds);
    visit(r.samples_per_second);
}

std::vector<double> table_of(const std::vector<epoch_record>& history) {
    std::vector<double> values;
    for (const epoch_record& r : history)
        for_each_column(r, [&]<class T>(const T& value) {
            if constexpr (std::is_same_v<T, std::optional<double>>)
                values.push_back(value.value_or(absent));
            else
                values.push_back(static_cast<double>(value));
        });
    return values;
}

std::vector<epoch_record> history_of(const std::vector<double>& table) {
    std::vector<epoch_record> history(table.size() / history_columns);
    auto at = table.begin();
    for (epoch_record& r : history)
        for_each_column(r, [&]<class T>(T& value) {
            if constexpr (std::is_same_v<T, std::optional<double>>)
                value = present(*at++);
            else
                value = static_cast<T>(*at++);
        });
    return history;
}

template <class Members, class Sums>
void describe_sums(Members& to, Sums& s) {
    to.member("rows", s.rows);
    to.member("reconstruction", s.reconstruction);
    to.member("kl", s.kl);
    to.member("objective", s.objective);
    to.member("squared_error", s.squared_error);
    if (to.has("weighted_squared_error", true)) // not in older files, which need none
        to.member("weighted_squared_error", s.weighted_squared_error);
    to.member("learning_rate", s.learning_rate);
    to.member("gradient_norm", s.gradient_norm);
    to.member("seconds", s.seconds);
}

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
        to.object("sums", [&](auto& sums) { describe_sums(sums, s.sums); });
        has_scale = to.has("scale", true);
        if (has_scale)
            to.object("scale", [&](auto& scale) {
                scale.member("squared_error", s.scale.squared_error);
                scale.member("rows", s.scale.rows);
            });
        to.object("best", [&](auto& best) {
            best.member("epoch", s.best.epoch);
            best.member("elbo", s.best.elbo);
        });
    });
    return has_scale;
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
    std::vector<double> table = table_of(s.history);
    file.tensor("history", {-1, history_columns}, table);
    if constexpr (Archive::reads)
        s.history = history_of(table);
}

/// Throws invalid_argument that names the first member in which the two objects differ.
void require_same(const json& stored, const json& now, std::string_view what, const std::string& path) {
    for (const auto& [key, value] : now.items()) {
        const json there = stored.contains(key) ? stored[key] : json();
        expects(there == value, [&, &name = key, &wanted = value] {
            return fmt::format("resume = '{}': it was written with {} {} = {}, this call has {}", path, what, name,
                               io::json_text(there), io::json_text(wanted));
        });
    }
}

} // namespace

json describe(const train_options& o, const data_sizes& sizes) {
    json options = {{"rows", sizes.rows},
                    {"validation_rows", sizes.validation_rows},
                    {"batch", o.batch.value_or(0)},
                    {"samples", o.samples},
                    {"objective", to_string(o.objective)},
                    {"estimator", to_string(o.estimator)},
                    {"beta", o.beta},
                    {"kl_warm_up_epochs", o.kl_warm_up_epochs},
                    {"free_bits", o.free_bits},
                    {"binarize", o.binarize},
                    {"optimizer", to_string(o.optimizer.kind)},
                    {"learning_rate", o.optimizer.learning_rate},
                    {"beta1", o.optimizer.beta1},
                    {"beta2", o.optimizer.beta2},
                    {"epsilon", o.optimizer.epsilon},
                    {"weight_decay", o.optimizer.weight_decay},
                    {"momentum", o.optimizer.momentum},
                    {"clip_norm", o.optimizer.clip_norm},
                    {"schedule", to_string(o.schedule.form)},
                    {"boundaries", o.schedule.boundaries},
                    {"factors", o.schedule.factors},
                    {"final_factor", o.schedule.final_factor},
                    {"warm_up_steps", o.schedule.warm_up_steps},
                    {"average_decay", o.average_decay},
                    {"patience", o.patience},
                    {"seed", o.seed},
                    {"precision", to_string(o.precision)}};
    if (o.schedule.form == schedule::kind::cosine)
        options["epochs"] = o.epochs; // else a run may go on for longer than was meant at first
    return options;
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

architecture checkpoint_architecture(const std::string& path) {
    return read_architecture(io::archive_reader(path, network_format));
}

} // namespace elbo::vae
