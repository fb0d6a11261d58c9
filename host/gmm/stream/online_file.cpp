// The state of stepwise EM is the file of a model (host/gmm/model/model_file.cpp) with more in it: metadata "online"
// {"steps", "samples", "options"} as JSON text, tensors online.covariances, online.reseeds [k] and online.total_weight
// [1].
#include "host/gmm/stream/online_file.hpp"
#include "elbo/gmm/online.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/stream/statistics_file.hpp"

#include <fmt/format.h>
#include <limits>

namespace elbo::gmm {

using io::json;

namespace {

json describe(const online_options& o) {
    json options = {{"t0", o.t0}, {"kappa", o.kappa}, {"on_collapse", to_string(o.on_collapse)}};
    if (o.regularization)
        options["regularization"] = *o.regularization;
    if (o.relative_regularization)
        options["relative_regularization"] = *o.relative_regularization;
    if (o.rate)
        options["rate"] = *o.rate;
    return options;
}

json object_from(const json& value, const char* key, const std::string& path) {
    if (!value.is_object())
        io::fail(path, fmt::format("{}: expected an object, found {}", key, io::describe(value)));
    return value;
}

online_options options_from(const json& object, const std::string& path) {
    online_options o;
    o.t0 = io::number(object, "t0", path);
    o.kappa = io::number(object, "kappa", path);
    if (object.contains("regularization"))
        o.regularization = io::number(object, "regularization", path);
    if (object.contains("relative_regularization"))
        o.relative_regularization = io::number(object, "relative_regularization", path);
    o.on_collapse =
        io::from_file(path, [&] { return collapse_policy_from_string(io::text(object, "on_collapse", path)); });
    if (object.contains("rate"))
        o.rate = io::number(object, "rate", path);
    return o;
}

std::vector<std::int32_t> reseeds_from(const io::tensor_file& file, std::int64_t k, const std::string& path) {
    std::vector<std::int32_t> reseeds;
    for (std::int64_t times : file.integers("online.reseeds", {k}, path)) {
        if (times < 0 || times > std::numeric_limits<std::int32_t>::max())
            io::fail(path, fmt::format("online.reseeds: {}: expected how often a component was re-seeded", times));
        reseeds.push_back(static_cast<std::int32_t>(times));
    }
    return reseeds;
}

} // namespace

void online::save(const std::string& path, const std::vector<std::string>& column_names) const {
    require_safetensors(path, "the state of a stream");
    check_names(column_names, model().dimensions());
    const std::int64_t k = model().components();
    io::tensor_file file = to_tensors(model(), column_names, mixture_format);
    file.metadata["online"] =
        io::json_text({{"steps", state_.steps}, {"samples", state_.samples}, {"options", describe(options_)}});
    file.tensors.emplace(
        "online.covariances",
        io::tensor::of(covariance_shape(model().shape(), k, model().dimensions()), state_.covariances));
    file.tensors.emplace("online.reseeds",
                         io::tensor::of({k}, std::vector<std::int64_t>(state_.reseeds.begin(), state_.reseeds.end())));
    file.tensors.emplace("online.total_weight", io::tensor::of({1}, std::vector<double>{state_.total_weight}));
    io::write_safetensors(path, file);
}

bool holds_online_state(const io::tensor_file& file) {
    return file.metadata.contains("online");
}

saved_online load_saved_online(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    saved_model saved = model_from(file, mixture_format, path);
    if (!holds_online_state(file))
        io::fail(path, "expected the state of a stream; this is a model without running statistics");
    const json about = object_from(io::parse_json(file.metadata.at("online"), path), "online", path);
    const std::int64_t k = saved.model.components(), d = saved.model.dimensions();
    online_state state{saved.model,
                       file.doubles("online.covariances", covariance_shape(saved.model.shape(), k, d), path),
                       reseeds_from(file, k, path),
                       io::whole_number(about, "steps", path),
                       io::whole_number(about, "samples", path),
                       file.doubles("online.total_weight", {1}, path).front()};
    const online_options options = options_from(object_from(io::member(about, "options", path), "options", path), path);
    return {io::from_file(path, [&] { return online(std::move(state), options); }), std::move(saved.column_names)};
}

online online::load(const std::string& path) {
    return load_saved_online(path).state;
}

} // namespace elbo::gmm
