// The state of stepwise EM is the file of a model (host/gmm/model/model_file.cpp) with more in it: metadata "online"
// {"steps", "samples", "options"} as JSON text, tensors online.covariances, online.reseeds [k] and online.total_weight
// [1].
#include "host/gmm/stream/online_file.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/stream/fields.hpp"
#include "host/gmm/stream/statistics_file.hpp"

#include <fmt/format.h>
#include <limits>

namespace elbo::gmm {

namespace {

template <class Archive, class Reseeds>
void describe_reseeds(Archive& file, Reseeds& reseeds, std::int64_t components) {
    std::vector<std::int64_t> wide(reseeds.begin(), reseeds.end());
    file.tensor("online.reseeds", {components}, wide);
    if constexpr (Archive::reads) {
        for (const std::int64_t times : wide)
            if (times < 0 || times > std::numeric_limits<std::int32_t>::max())
                file.fail(fmt::format("online.reseeds: {}: expected how often a component was re-seeded", times));
        reseeds.assign(wide.begin(), wide.end());
    }
}

/// What the file of a stream has beyond the model.
template <class Archive, class State, class Options>
void describe(Archive& file, State& s, Options& options) {
    file.object("online", [&](auto& to) {
        to.member(field_of(&online_state::steps).name, s.steps);
        to.member(field_of(&online_state::samples).name, s.samples);
        to.member("options", options);
    });
    const std::int64_t k = s.model.components();
    file.tensor("online.covariances", covariance_shape(s.model.shape(), k, s.model.dimensions()), s.covariances);
    describe_reseeds(file, s.reseeds, k);
    file.scalar("online.total_weight", s.total_weight);
}

} // namespace

void online::save(const std::string& path, const std::vector<std::string>& column_names) const {
    require_safetensors(path, "the state of a stream");
    io::archive_writer file(path, mixture_format);
    write_members(file, model(), column_names);
    describe(file, state_, options_);
    file.commit();
}

bool holds_online_state(const io::tensor_file& file) {
    return file.metadata.contains("online");
}

saved_online load_saved_online(const std::string& path) {
    io::archive_reader file(path, mixture_format);
    saved_model saved = read_members(file);
    if (!file.has("online"))
        file.fail("expected the state of a stream; this is a model without running statistics");
    online_state state{saved.model, {}, {}, 0, 0, 0};
    online_options options;
    describe(file, state, options);
    return {io::from_file(path, [&] { return online(std::move(state), options); }), std::move(saved.column_names)};
}

online online::load(const std::string& path) {
    return load_saved_online(path).state;
}

} // namespace elbo::gmm
