// Statistics as .safetensors: the tensors of the model they were made under (host/gmm/model/model_file.cpp), its frame
// (centre, scale [d]), and the limbs of the sums: sums [3 x sum_count], scatter [3 x numbers] (gmm_layout.hpp,
// fixed_point.hpp).
#include "host/gmm/stream/statistics_file.hpp"

#include "elbo/error.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/gmm/stream/statistics_state.hpp"
#include "host/rows/regularization.hpp"
#include "kernels/math/fixed_point.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

namespace {

constexpr io::model_format statistics_format{"elbo.gmm.statistics", 1, "statistics of a mixture"};

io::tensor limbs_tensor(const fixed_sums& sums) {
    return io::tensor::of({limb_count, static_cast<std::int64_t>(sums.limbs.size()) / limb_count}, sums.limbs);
}

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

void read_limbs(fixed_sums& sums, const char* name, const io::tensor_file& file, const std::string& path) {
    const auto count = static_cast<std::int64_t>(sums.limbs.size()) / limb_count;
    sums.limbs = file.integers(name, {limb_count, count}, path);
    check_limbs(sums, name, path);
}

frame read_frame(const io::tensor_file& file, std::int64_t d, const std::string& path) {
    const frame f{file.doubles("centre", {d}, path), file.doubles("scale", {d}, path)};
    for (std::int64_t j = 0; j < d; ++j)
        if (int exponent = 0; !std::isfinite(f.centre[j]) || !(f.scale[j] > 0) || !std::isfinite(f.scale[j]) ||
                              std::frexp(f.scale[j], &exponent) != 0.5)
            io::fail(path,
                     fmt::format("centre[{0}] = {1}, scale[{0}] = {2}: expected finite numbers, the scale a power "
                                 "of two",
                                 j, f.centre[j], f.scale[j]));
    return f;
}

/// The sums in a file are multiples of powers of two, which must be those of sums of today.
void check_exponent(const char* key, int expected, const io::tensor_file& file, const std::string& path) {
    if (const std::int64_t found = io::metadata_number(file, key, path); found != expected)
        io::fail(path, fmt::format("{} = {}, expected {}", key, found, expected));
}

} // namespace

void require_safetensors(const std::string& path, const char* what) {
    if (!path.ends_with(".safetensors"))
        throw invalid_argument(fmt::format("'{}': expected a name that ends in .safetensors to save {}", path, what));
}

void save(const statistics& s, const std::string& path, const std::vector<std::string>& column_names) {
    require_safetensors(path, "statistics");
    const internal::statistics_state& state = s.state();
    check_names(column_names, state.shape.dimensions);
    io::tensor_file file = to_tensors(state.under, column_names, statistics_format);
    file.metadata["samples"] = std::to_string(state.samples);
    file.metadata["component_exponent"] = std::to_string(state.sums.component_exponent);
    file.metadata["scalar_exponent"] = std::to_string(state.sums.scalar_exponent);
    file.tensors.emplace("centre", io::tensor::of({state.shape.dimensions}, state.frame.centre));
    file.tensors.emplace("scale", io::tensor::of({state.shape.dimensions}, state.frame.scale));
    file.tensors.emplace("sums", limbs_tensor(state.sums));
    if (is_tied(state.shape.family))
        file.tensors.emplace("scatter", limbs_tensor(state.scatter));
    io::write_safetensors(path, file);
}

saved_statistics load_saved_statistics(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    saved_model saved = model_from(file, statistics_format, path);
    statistics s = io::from_file(path, [&] { return statistics(saved.model); });
    internal::statistics_state& state = s.state();
    check_exponent("component_exponent", state.sums.component_exponent, file, path);
    check_exponent("scalar_exponent", state.sums.scalar_exponent, file, path);
    state.frame = read_frame(file, state.shape.dimensions, path);
    read_limbs(state.sums, "sums", file, path);
    if (is_tied(state.shape.family))
        read_limbs(state.scatter, "scatter", file, path);
    state.samples = io::metadata_number(file, "samples", path);
    if (state.samples < 0)
        io::fail(path, fmt::format("samples = {}: expected at least 0", state.samples));
    return {std::move(s), std::move(saved.column_names)};
}

statistics load_statistics(const std::string& path) {
    return load_saved_statistics(path).statistics;
}

} // namespace elbo::gmm
