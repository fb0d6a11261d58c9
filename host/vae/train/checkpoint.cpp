// A checkpoint is the file of a model (host/vae/model/model_file.cpp) with more in it: metadata "training" {"options",
// "position", "sums", "scale", "best"} as JSON text, tensors optimizer.first_moment, optimizer.second_moment,
// optimizer.average, best.parameters (flat, where there are any) and history [epochs x columns].
#include "host/vae/train/checkpoint.hpp"

#include "host/check.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/vae/model/model_file.hpp"

#include <fmt/format.h>
#include <limits>

namespace elbo::vae {

namespace {

using io::json;

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

std::optional<double> present(double value) {
    return value == value ? std::optional(value) : std::nullopt;
}

constexpr std::int64_t history_columns = 13;

std::vector<double> history_row(const epoch_record& r) {
    return {static_cast<double>(r.epoch),
            static_cast<double>(r.step),
            r.train_elbo,
            r.train_reconstruction,
            r.train_kl,
            r.train_objective,
            r.validation_elbo.value_or(absent),
            r.validation_reconstruction.value_or(absent),
            r.validation_kl.value_or(absent),
            r.learning_rate,
            r.gradient_norm,
            r.seconds,
            r.samples_per_second};
}

epoch_record history_record(const double* v) {
    epoch_record r;
    r.epoch = static_cast<std::int64_t>(v[0]);
    r.step = static_cast<std::int64_t>(v[1]);
    r.train_elbo = v[2];
    r.train_reconstruction = v[3];
    r.train_kl = v[4];
    r.train_objective = v[5];
    r.validation_elbo = present(v[6]);
    r.validation_reconstruction = present(v[7]);
    r.validation_kl = present(v[8]);
    r.learning_rate = v[9];
    r.gradient_norm = v[10];
    r.seconds = v[11];
    r.samples_per_second = v[12];
    return r;
}

json position_of(const training_state& s) {
    return {{"epoch", s.epoch},
            {"step", s.step},
            {"optimizer_steps", s.optimizer.steps},
            {"window_rows", s.window_rows},
            {"seconds", s.seconds}};
}

json sums_of(const epoch_sums& s) {
    return {{"rows", s.rows},
            {"reconstruction", s.reconstruction},
            {"kl", s.kl},
            {"objective", s.objective},
            {"squared_error", s.squared_error},
            {"weighted_squared_error", s.weighted_squared_error},
            {"learning_rate", s.learning_rate},
            {"gradient_norm", s.gradient_norm},
            {"seconds", s.seconds}};
}

json scale_of(const kernels::running_scale& s) {
    return {{"squared_error", s.squared_error}, {"rows", s.rows}};
}

/// An older version took the scale of each batch by itself, and its sums are of another bound.
void require_running_scale(const architecture& a, const json& training, const std::string& path) {
    expects(!has_optimal_scale(a) || training.contains("scale"), [&] {
        return fmt::format("resume = '{}': it was written by a version that took the optimal scale of each batch by "
                           "itself, and cannot be gone on with to the same numbers: expected a newer one; train from "
                           "its parameters instead (start)",
                           path);
    });
}

kernels::running_scale scale_from(const json& object, const std::string& path) {
    return {io::number(object, "squared_error", path), io::number(object, "rows", path)};
}

epoch_sums sums_from(const json& object, const std::string& path) {
    epoch_sums s;
    s.rows = io::whole_number(object, "rows", path);
    s.reconstruction = io::number(object, "reconstruction", path);
    s.kl = io::number(object, "kl", path);
    s.objective = io::number(object, "objective", path);
    s.squared_error = io::number(object, "squared_error", path);
    if (object.contains("weighted_squared_error")) // not in older files, which need none
        s.weighted_squared_error = io::number(object, "weighted_squared_error", path);
    s.learning_rate = io::number(object, "learning_rate", path);
    s.gradient_norm = io::number(object, "gradient_norm", path);
    s.seconds = io::number(object, "seconds", path);
    return s;
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

void put_flat(io::tensor_file& file, const std::string& name, const std::vector<double>& values) {
    if (!values.empty())
        file.tensors.emplace(name, io::tensor::compact({static_cast<std::int64_t>(values.size())}, values));
}

std::vector<double> take_flat(const io::tensor_file& file, const std::string& name, std::size_t size,
                              const std::string& path) {
    return file.reals(name, {static_cast<std::int64_t>(size)}, path);
}

/// The same where the file has such a tensor, else nothing.
std::vector<double> take_optional(const io::tensor_file& file, const std::string& name, std::size_t size,
                                  const std::string& path) {
    return file.tensors.contains(name) ? take_flat(file, name, size, path) : std::vector<double>();
}

const json& object_in(const json& parent, const char* key, const std::string& path) {
    const json& object = io::member(parent, key, path);
    if (!object.is_object())
        io::fail(path, fmt::format("{}: expected an object, found {}", key, io::describe(object)));
    return object;
}

json training_metadata(const io::tensor_file& file, const std::string& path) {
    if (!file.metadata.contains("training"))
        io::fail(path, "expected a checkpoint of training; this is a model without the state of an optimiser");
    json training = io::parse_json(file.metadata.at("training"), path);
    if (!training.is_object())
        io::fail(path, fmt::format("training: expected an object, found {}", io::describe(training)));
    return training;
}

std::vector<epoch_record> history_from(const io::tensor_file& file, const std::string& path) {
    const std::vector<double> values = file.doubles("history", {-1, history_columns}, path);
    std::vector<epoch_record> history;
    for (std::size_t at = 0; at < values.size(); at += history_columns)
        history.push_back(history_record(&values[at]));
    return history;
}

architecture architecture_in(const io::tensor_file& file, const std::string& path) {
    io::check_format(network_format, file, path);
    return architecture_from(io::parse_json(io::metadata_text(file, "architecture", path), path), path);
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
    io::tensor_file file = to_tensors(a, s.parameters);
    file.metadata["training"] = io::json_text({{"options", options},
                                               {"position", position_of(s)},
                                               {"sums", sums_of(s.sums)},
                                               {"scale", scale_of(s.scale)},
                                               {"best", {{"epoch", s.best.epoch}, {"elbo", s.best.elbo}}}});
    put_flat(file, "optimizer.first_moment", s.optimizer.first_moment);
    put_flat(file, "optimizer.second_moment", s.optimizer.second_moment);
    put_flat(file, "optimizer.average", s.optimizer.average);
    put_flat(file, "best.parameters", s.best.parameters);
    std::vector<double> history;
    for (const epoch_record& r : s.history) {
        const std::vector<double> row = history_row(r);
        history.insert(history.end(), row.begin(), row.end());
    }
    file.tensors.emplace("history",
                         io::tensor::of({static_cast<std::int64_t>(s.history.size()), history_columns}, history));
    const io::commit_group at_once(false); // a crash is what it is for
    io::write_safetensors(path, file);
}

training_state read_checkpoint(const std::string& path, const architecture& a, const json& options) {
    const io::tensor_file file = io::read_safetensors(path);
    const json stored = to_json(architecture_in(file, path));
    json now = to_json(a);
    if (!stored.contains("column_names")) // of data without names, or by a version that kept none
        now.erase("column_names");
    require_same(stored, now, "the architecture", path);
    const json training = training_metadata(file, path);
    require_same(object_in(training, "options", path), options, "the option", path);
    require_running_scale(a, training, path);
    const json& position = object_in(training, "position", path);
    const json& best = object_in(training, "best", path);

    training_state s;
    s.parameters = model_from(file, path).parameters();
    const std::size_t size = s.parameters.size();
    s.optimizer.steps = io::whole_number(position, "optimizer_steps", path);
    s.optimizer.first_moment = take_flat(file, "optimizer.first_moment", size, path);
    s.optimizer.second_moment = take_flat(file, "optimizer.second_moment", size, path);
    s.optimizer.average = take_optional(file, "optimizer.average", size, path);
    s.epoch = io::whole_number(position, "epoch", path);
    s.step = io::whole_number(position, "step", path);
    s.sums = sums_from(object_in(training, "sums", path), path);
    if (training.contains("scale"))
        s.scale = scale_from(object_in(training, "scale", path), path);
    s.history = history_from(file, path);
    s.best = {io::whole_number(best, "epoch", path), io::number(best, "elbo", path),
              take_optional(file, "best.parameters", size, path)};
    s.window_rows = io::whole_number(position, "window_rows", path);
    s.seconds = io::number(position, "seconds", path);
    return s;
}

architecture checkpoint_architecture(const std::string& path) {
    return architecture_in(io::read_safetensors(path), path);
}

} // namespace elbo::vae
