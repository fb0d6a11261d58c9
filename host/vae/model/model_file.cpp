// Networks as .safetensors (tensors, description in the metadata) and as .json (for reading by eye).
//
// JSON: {"format": "elbo.vae", "version": 1, "architecture": {...}, "parameters": {"encoder.0.weight": [in][out], ...}}
// The metadata of .safetensors hold format, version and the architecture as JSON text.
#include "host/vae/model/model_file.hpp"

#include "host/gmm/model/model_file.hpp"
#include "host/io/write/atomic_file.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <fmt/format.h>

namespace elbo::vae {

namespace {

using io::json;

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

std::vector<std::int64_t> whole_numbers(const json& object, const char* key, const std::string& path) {
    const json& list = io::member(object, key, path);
    if (!list.is_array())
        io::fail(path, fmt::format("{}: expected a list of whole numbers, found {}", key, io::describe(list)));
    std::vector<std::int64_t> values;
    for (const json& value : list) {
        if (!value.is_int64() || value.as_int64() < 0)
            io::fail(path,
                     fmt::format("{}: expected a list of whole numbers, found {} in it", key, io::describe(value)));
        values.push_back(value.as_int64());
    }
    return values;
}

/// Takes the parameters from wherever `values(name, shape)` finds them. The parts follow each other in the flat vector,
/// which grows with what is really there: what a file claims does not decide how much memory is taken.
template <class Values>
model assemble(const architecture& a, const std::string& path, const Values& values) {
    std::vector<double> parameters;
    for (const named_part& part : parts_of(a)) {
        const std::vector<double> piece = values(part.name, part.shape);
        parameters.insert(parameters.end(), piece.begin(), piece.end());
    }
    return io::from_file(path, [&] { return model(a, std::move(parameters)); });
}

std::string json_of(const model& m) {
    std::string text =
        fmt::format("{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"architecture\": {},\n"
                    "  \"parameters\": {{",
                    network_format.name, network_format.version, io::json_text(to_json(m.architecture())));
    std::string_view separator = "\n";
    for (const named_part& part : parts_of(m.architecture())) {
        text += fmt::format("{}  \"{}\": {}", separator, part.name,
                            io::nested_lists(m.parameters().data() + part.first, part.shape));
        separator = ",\n";
    }
    return text + "\n}}\n";
}

model load_json(const std::string& path) {
    const json file = io::read_json_object(path);
    io::check_format(network_format, file, path);
    const json& parameters = io::member(file, "parameters", path);
    if (!parameters.is_object())
        io::fail(path, fmt::format("parameters: expected an object, found {}", io::describe(parameters)));
    return assemble(architecture_from(io::member(file, "architecture", path), path), path,
                    [&](const std::string& name, const std::vector<std::int64_t>& shape) {
                        return io::numbers(parameters, name.c_str(), shape, path);
                    });
}

} // namespace

json to_json(const architecture& a) {
    json object{{"dimensions", a.dimensions},
                {"latent", a.latent},
                {"encoder", a.encoder},
                {"decoder", a.decoder},
                {"activation", to_string(a.hidden)},
                {"likelihood", to_string(a.likelihood.family)},
                {"scale", to_string(a.likelihood.scale)},
                {"sigma", a.likelihood.sigma},
                {"blocks", a.likelihood.blocks},
                {"decoder_form", to_string(a.decoder_form)}};
    if (!a.column_names.empty())
        object["column_names"] = a.column_names;
    return object;
}

architecture architecture_from(const json& object, const std::string& path) {
    if (!object.is_object())
        io::fail(path, fmt::format("architecture: expected an object, found {}", io::describe(object)));
    return io::from_file(path, [&] {
        architecture a;
        a.dimensions = io::whole_number(object, "dimensions", path);
        a.latent = io::whole_number(object, "latent", path);
        a.encoder = whole_numbers(object, "encoder", path);
        a.decoder = whole_numbers(object, "decoder", path);
        a.hidden = activation_from_string(io::text(object, "activation", path));
        a.likelihood.family = likelihood_from_string(io::text(object, "likelihood", path));
        a.likelihood.scale = gaussian_scale_from_string(io::text(object, "scale", path));
        a.likelihood.sigma = io::number(object, "sigma", path);
        a.likelihood.blocks = whole_numbers(object, "blocks", path);
        a.decoder_form = decoder_kind_from_string(io::text(object, "decoder_form", path));
        if (object.contains("column_names"))
            a.column_names = gmm::read_names(object["column_names"], path);
        a.check();
        return a;
    });
}

io::tensor_file to_tensors(const architecture& a, const std::vector<double>& parameters) {
    io::tensor_file file;
    file.metadata = {{"format", network_format.name},
                     {"version", std::to_string(network_format.version)},
                     {"architecture", io::json_text(to_json(a))}};
    for (const named_part& part : parts_of(a)) {
        const auto first = parameters.begin() + part.first;
        file.tensors.emplace(part.name,
                             io::tensor::compact(part.shape, std::vector<double>(first, first + size_of(part))));
    }
    return file;
}

model model_from(const io::tensor_file& file, const std::string& path) {
    io::check_format(network_format, file, path);
    const json object = io::parse_json(io::metadata_text(file, "architecture", path), path);
    return assemble(
        architecture_from(object, path), path,
        [&](const std::string& name, const std::vector<std::int64_t>& shape) { return file.reals(name, shape, path); });
}

void model::save(const std::string& path) const {
    if (io::kind_to_save(path) == io::model_file_kind::safetensors)
        return io::write_safetensors(path, to_tensors(architecture_, parameters_));
    io::atomic_file file(path);
    file.write(json_of(*this));
    file.commit();
}

model model::load(const std::string& path) {
    if (io::kind_to_load(path) == io::model_file_kind::safetensors)
        return model_from(io::read_safetensors(path), path);
    return load_json(path);
}

} // namespace elbo::vae
