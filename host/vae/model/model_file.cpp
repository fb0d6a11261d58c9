// Networks as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.vae", "version": 1, "architecture": {...}, "parameters": {"encoder.0.weight": [in][out], ...}}
// The metadata of .safetensors hold format, version and the architecture as JSON text.
#include "host/vae/model/model_file.hpp"

#include "host/vae/fields.hpp"
#include "kernels/contract/vae_layout.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <fmt/format.h>

namespace elbo::vae {

namespace {

/// A piece of the flat vector that a file holds under a name.
struct named_part {
    std::string name;
    std::int64_t first;
    std::vector<std::int64_t> shape;
};

void name_layers(std::string_view prefix, const std::vector<kernels::dense_layer>& layers,
                 std::vector<named_part>& parts) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
        parts.push_back(
            {fmt::format("{}.{}.weight", prefix, i), layers[i].weights, {layers[i].inputs, layers[i].outputs}});
        parts.push_back({fmt::format("{}.{}.bias", prefix, i), layers[i].bias, {layers[i].outputs}});
    }
}

std::vector<named_part> parts_of(const architecture& a) {
    const kernels::vae_layout layout = kernels::make_layout(a);
    std::vector<named_part> parts;
    name_layers("encoder", layout.encoder, parts);
    name_layers("decoder", layout.decoder, parts);
    if (layout.sphere_radius >= 0) {
        parts.push_back({"decoder.radius", layout.sphere_radius, {1}});
        parts.push_back({"decoder.centre", layout.sphere_centre, {a.dimensions}});
    }
    if (layout.own_count > 0)
        parts.push_back(
            {fmt::format("likelihood.{}", kernels::facts_of(a.likelihood.family).own), layout.own, {layout.own_count}});
    return parts;
}

std::int64_t size_of(const named_part& part) {
    return part.shape.size() == 2 ? part.shape[0] * part.shape[1] : part.shape[0];
}

} // namespace

io::json to_json(const architecture& a) {
    io::member_writer object;
    object.members(a);
    return object.take();
}

architecture read_architecture(const io::archive_reader& file) {
    return io::from_file(file.path(), [&] {
        architecture a;
        file.object("architecture", [&](auto& members) { members.members(a); });
        a.check();
        return a;
    });
}

void write_members(io::archive_writer& file, const architecture& a, const std::vector<double>& parameters) {
    file.member("architecture", to_json(a));
    file.tensors_within("parameters");
    for (const named_part& part : parts_of(a)) {
        const auto first = parameters.begin() + part.first;
        file.tensor(part.name, part.shape, std::vector<double>(first, first + size_of(part)), io::packing::compact);
    }
}

model read_members(io::archive_reader& file) {
    const architecture a = read_architecture(file);
    file.tensors_within("parameters");
    // The parts follow each other in the flat vector, which grows with what is really there: what a file claims does
    // not decide how much memory is taken.
    std::vector<double> parameters, piece;
    for (const named_part& part : parts_of(a)) {
        file.tensor(part.name, part.shape, piece, io::packing::compact);
        parameters.insert(parameters.end(), piece.begin(), piece.end());
    }
    return io::from_file(file.path(), [&] { return model(a, std::move(parameters)); });
}

void model::save(const std::string& path) const {
    io::archive_writer file(path, network_format);
    write_members(file, architecture_, parameters_);
    file.commit();
}

model model::load(const std::string& path) {
    io::archive_reader file(path, network_format);
    return read_members(file);
}

} // namespace elbo::vae
