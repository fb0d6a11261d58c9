// Statistics as .safetensors: the tensors of the model they were made under (host/gmm/model/model.cpp), its frame
// (centre, scale [d]), and the limbs of the sums: sums [3 x sum_count], scatter [3 x numbers] (gmm_layout.hpp,
// fixed_point.hpp).
//
// The state of stepwise EM is the file of a model (host/gmm/model/model.cpp) with more in it: metadata "online"
// {"steps", "samples", "options"} as JSON text, tensors online.covariances, online.reseeds [k] and online.total_weight
// [1].
#include "host/gmm/stream/file.hpp"

#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "kernels/math/fixed_point.hpp"

#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <utility>

namespace elbo::gmm {

using namespace kernels;

namespace {

constexpr io::model_format statistics_format{"elbo.gmm.statistics", 1, "statistics of a mixture"};

/// Carried limbs that are far from the end of their range, so that sums of many files do not overflow.
void check_limbs(const fixed_sums& sums, const char* name, const std::string& path) {
    constexpr std::int64_t lower_end = std::int64_t(1) << limb_bits, upper_end = std::int64_t(1) << 60;
    const std::size_t count = sums.limbs.size() / limb_count;
    for (std::size_t i = 0; i < sums.limbs.size(); ++i) {
        const std::int64_t v = sums.limbs[i];
        const bool fine = i / count + 1 < limb_count ? v >= 0 && v < lower_end : v > -upper_end && v < upper_end;
        if (!fine)
            io::fail(path, fmt::format("tensor '{}': element [{}, {}] = {} is not a limb of a sum", name, i / count,
                                       i % count, v));
    }
}

template <class Archive, class Sums>
void describe_limbs(Archive& file, const char* name, Sums& sums) {
    file.tensor(name, {limb_count, sums.count()}, sums.limbs);
    if constexpr (Archive::reads)
        check_limbs(sums, name, file.path());
}

void check_frame(const frame& f) {
    for (std::size_t j = 0; j < f.scale.size(); ++j) {
        int exponent = 0;
        expects(std::isfinite(f.centre[j]) && f.scale[j] > 0 && std::isfinite(f.scale[j]) &&
                    std::frexp(f.scale[j], &exponent) == 0.5,
                [&] {
                    return fmt::format("centre[{0}] = {1}, scale[{0}] = {2}: expected finite numbers, the scale a "
                                       "power of two",
                                       j, f.centre[j], f.scale[j]);
                });
    }
}

/// The sums in a file are multiples of powers of two, which must be those of sums of today.
template <class Archive>
void describe_exponent(Archive& file, const char* key, const std::int64_t expected) {
    std::int64_t found = expected;
    file.member(key, found);
    expects(found == expected, [&] { return fmt::format("{} = {}, expected {}", key, found, expected); });
}

/// What a file of statistics has beyond the model.
template <class Archive, class State>
void describe(Archive& file, State& s) {
    describe_exponent(file, "component_exponent", s.sums.component_exponent);
    describe_exponent(file, "scalar_exponent", s.sums.scalar_exponent);
    file.tensor("centre", {s.shape.dimensions}, s.frame.centre);
    file.tensor("scale", {s.shape.dimensions}, s.frame.scale);
    check_frame(s.frame);
    describe_limbs(file, "sums", s.sums);
    if (is_tied(s.shape.family))
        describe_limbs(file, "scatter", s.scatter);
    file.member("samples", s.samples);
    expects("samples", s.samples, at_least(0));
}

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

void require_safetensors(const std::string& path, const char* what) {
    if (!path.ends_with(".safetensors"))
        throw invalid_argument(fmt::format("'{}': expected a name that ends in .safetensors to save {}", path, what));
}

void save(const statistics& s, const std::string& path, const std::vector<std::string>& column_names) {
    require_safetensors(path, "statistics");
    io::archive_writer file(path, statistics_format);
    write_members(file, s.state().under, column_names);
    describe(file, std::as_const(s.state()));
    file.commit();
}

saved_statistics load_saved_statistics(const std::string& path) {
    io::archive_reader file(path, statistics_format);
    saved_model saved = read_members(file);
    return io::from_file(path, [&]() -> saved_statistics {
        statistics s(saved.model);
        describe(file, s.state());
        return {std::move(s), std::move(saved.column_names)};
    });
}

statistics load_statistics(const std::string& path) {
    return load_saved_statistics(path).statistics;
}

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
