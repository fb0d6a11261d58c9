// Sphere models as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.sphere", "version": 1, "dimensions": d, "column_names": [...], "centre": [d],
//        "radius": r, "noise": σ²}
#include "host/latent/sphere/file.hpp"

#include "host/gmm/model/model_file.hpp"
#include "host/io/write/atomic_file.hpp"

#include <fmt/format.h>

namespace elbo::latent {

namespace {

using io::json;

/// Checks what a file says of itself before its numbers.
void check_description(std::int64_t dimensions, const std::vector<std::string>& names, const std::string& path) {
    if (dimensions < 1)
        io::fail(path, fmt::format("dimensions = {}: expected at least 1", dimensions));
    io::from_file(path, [&] { return gmm::check_names(names, dimensions), 0; });
}

saved_sphere make_saved(sphere_parameters p, std::vector<std::string> names, const std::string& path) {
    return {io::from_file(path, [&] { return sphere_model(std::move(p)); }), std::move(names)};
}

void save_safetensors(const sphere_model& m, const std::string& path, const std::vector<std::string>& names) {
    io::tensor_file file;
    file.metadata = {{"format", sphere_format.name},
                     {"version", std::to_string(sphere_format.version)},
                     {"dimensions", std::to_string(m.dimensions())},
                     {"column_names", io::json_text(json(names))}};
    file.tensors.emplace("centre", io::tensor::of({m.dimensions()}, m.centre()));
    file.tensors.emplace("radius", io::tensor::of({1}, std::vector<double>{m.radius()}));
    file.tensors.emplace("noise", io::tensor::of({1}, std::vector<double>{m.noise()}));
    io::write_safetensors(path, file);
}

saved_sphere load_safetensors(const std::string& path) {
    const io::tensor_file file = io::read_safetensors(path);
    check_format(sphere_format, file, path);
    const std::int64_t d = io::metadata_number(file, "dimensions", path);
    auto names = gmm::read_names(io::parse_json(io::metadata_text(file, "column_names", path), path), path);
    check_description(d, names, path);
    sphere_parameters p{file.doubles("centre", {d}, path), file.doubles("radius", {1}, path).front(),
                        file.doubles("noise", {1}, path).front()};
    return make_saved(std::move(p), std::move(names), path);
}

void save_json(const sphere_model& m, const std::string& path, const std::vector<std::string>& names) {
    io::atomic_file file(path);
    file.write(fmt::format("{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"dimensions\": {},\n"
                           "  \"column_names\": {},\n  \"centre\": {},\n  \"radius\": {},\n  \"noise\": {}\n}}\n",
                           sphere_format.name, sphere_format.version, m.dimensions(), io::json_text(json(names)),
                           io::nested_lists(m.centre().data(), {m.dimensions()}), m.radius(), m.noise()));
    file.commit();
}

saved_sphere load_json(const std::string& path) {
    const json file = io::read_json_object(path);
    check_format(sphere_format, file, path);
    const std::int64_t d = io::whole_number(file, "dimensions", path);
    std::vector<std::string> names;
    if (file.contains("column_names"))
        names = gmm::read_names(file["column_names"], path);
    check_description(d, names, path);
    sphere_parameters p{io::numbers(file, "centre", {d}, path), io::number(file, "radius", path),
                        io::number(file, "noise", path)};
    return make_saved(std::move(p), std::move(names), path);
}

} // namespace

void save(const sphere_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    gmm::check_names(column_names, m.dimensions());
    if (io::kind_to_save(path) == io::model_file_kind::safetensors)
        save_safetensors(m, path, column_names);
    else
        save_json(m, path, column_names);
}

saved_sphere load_saved_sphere(const std::string& path) {
    return io::kind_to_load(path) == io::model_file_kind::safetensors ? load_safetensors(path) : load_json(path);
}

sphere_model load_sphere(const std::string& path) {
    return load_saved_sphere(path).model;
}

} // namespace elbo::latent
