// Sphere models as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// {"format": "elbo.sphere", "version": 1, "dimensions": d, "column_names": [...], "centre": [d], "radius": r,
//  "noise": σ²}
#include "host/latent/file.hpp"

#include "host/check.hpp"

namespace elbo::latent {

namespace {

/// Parameters, or const ones to be written.
template <class Archive, class Parameters, class Names>
void describe(Archive& file, Parameters& p, Names& column_names) {
    auto dimensions = static_cast<std::int64_t>(p.centre.size());
    file.member("dimensions", dimensions);
    expects("dimensions", dimensions, at_least(1));
    file.column_names(column_names, dimensions);
    file.tensor("centre", {dimensions}, p.centre);
    file.bare_scalar("radius", p.radius);
    file.bare_scalar("noise", p.noise);
}

} // namespace

void save(const sphere_model& m, const std::string& path, const std::vector<std::string>& column_names) {
    io::archive_writer file(path, sphere_format);
    describe(file, m.values(), column_names);
    file.commit();
}

saved_sphere load_saved_sphere(const std::string& path) {
    io::archive_reader file(path, sphere_format);
    return io::from_file(path, [&]() -> saved_sphere {
        sphere_parameters p;
        std::vector<std::string> column_names;
        describe(file, p, column_names);
        return {sphere_model(std::move(p)), std::move(column_names)};
    });
}

sphere_model load_sphere(const std::string& path) {
    return load_saved_sphere(path).model;
}

} // namespace elbo::latent
