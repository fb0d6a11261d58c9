// Networks and checkpoints on disk: to the bit in both formats, and files that are no such thing.
#include "elbo/error.hpp"
#include "elbo/vae/train.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/io_files.hpp"
#include "tests/support/vae_data.hpp"

#include <functional>

namespace elbo::vae {
namespace {

using test::expect_error;

/// One of each kind: activations, likelihoods, decoders, empty networks.
std::vector<architecture> all_kinds() {
    std::vector<architecture> kinds;
    architecture a = test::small_network(4);
    a.hidden = activation::gelu;
    kinds.push_back(a);
    a.encoder = {3, 5};
    a.decoder = {};
    a.likelihood.family = likelihood_family::gaussian;
    for (const gaussian_scale s : {gaussian_scale::fixed, gaussian_scale::learned,
                                   gaussian_scale::learned_per_dimension, gaussian_scale::optimal}) {
        a.likelihood.scale = s;
        a.likelihood.sigma = 0.1;
        kinds.push_back(a);
    }
    a.latent = 4;
    a.decoder_form = decoder_kind::sphere;
    kinds.push_back(a);
    a = test::small_network(4);
    a.likelihood.family = likelihood_family::categorical;
    a.likelihood.blocks = {1, 3};
    kinds.push_back(a);
    return kinds;
}

/// Numbers with all the digits of float64.
model with_digits(const architecture& a) {
    std::vector<double> p(a.parameters());
    for (std::size_t i = 0; i < p.size(); ++i)
        p[i] = test::normal(9, i) * std::pow(10.0, 30 * test::uniform(8, i) - 15);
    return model(a, p);
}

class VaeModelFile : public testing::Test {
protected:
    void expect_same(const model& m, const std::string& name) {
        m.save(folder.path(name));
        const model back = model::load(folder.path(name));
        EXPECT_EQ(back.architecture(), m.architecture()) << name;
        EXPECT_EQ(back.parameters(), m.parameters()) << name;
    }
    /// A file of a model that `change` has tampered with.
    std::string tampered(const std::function<void(io::tensor_file&)>& change) {
        const std::string path = folder.path("tampered.safetensors");
        model(test::small_network(4), 1).save(path);
        io::tensor_file file = io::read_safetensors(path);
        change(file);
        io::write_safetensors(path, file);
        return path;
    }
    void expect_fault(const std::string& path, std::initializer_list<std::string_view> parts) {
        expect_error<file_error>([&] { model::load(path); }, parts);
    }
    test::temporary_folder folder;
};

TEST_F(VaeModelFile, EveryKindSurvivesToTheBit) {
    for (const architecture& a : all_kinds()) {
        SCOPED_TRACE(a.summary());
        for (const char* name : {"m.safetensors", "m.json"}) {
            expect_same(model(a, 5), name);
            expect_same(with_digits(a), name);
        }
    }
    EXPECT_EQ(folder.files(), 2u) << "no temporary file stays";
}

TEST_F(VaeModelFile, TensorsHaveTheirNamesAndAreFloat32WhereThatIsExact) {
    const architecture a = test::small_network(4);
    model(a, 5).save(folder.path("m.safetensors"));
    io::tensor_file file = io::read_safetensors(folder.path("m.safetensors"));
    const io::tensor& weight = file.tensors.at("encoder.0.weight");
    EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{4, 8}));
    EXPECT_EQ(weight.type, io::tensor_type::float32);
    EXPECT_EQ(file.tensors.at("encoder.1.weight").shape, (std::vector<std::int64_t>{8, 6}));
    EXPECT_EQ(file.tensors.at("decoder.1.bias").shape, std::vector<std::int64_t>{4});
    with_digits(a).save(folder.path("m.safetensors"));
    file = io::read_safetensors(folder.path("m.safetensors"));
    EXPECT_EQ(file.tensors.at("encoder.0.weight").type, io::tensor_type::float64);
}

TEST_F(VaeModelFile, OtherEndingsAreRefused) {
    expect_error<invalid_argument>([&] { model(test::small_network(4)).save(folder.path("m.pt")); },
                                   {"m.pt", ".safetensors or .json"});
    expect_fault(folder.write("m.pt", "PK"), {"m.pt", ".safetensors or .json"});
    expect_fault(folder.path("none.safetensors"), {"none.safetensors", "No such file"});
}

TEST_F(VaeModelFile, FaultsOfSafetensorsAreNamed) {
    expect_fault(tampered([](auto& f) { f.metadata["format"] = "elbo.gmm"; }), {"elbo.gmm", "'elbo.vae'"});
    expect_fault(tampered([](auto& f) { f.metadata["version"] = "2"; }), {"version = 2", "newer"});
    expect_fault(tampered([](auto& f) { f.metadata.erase("architecture"); }), {"the key 'architecture'"});
    expect_fault(tampered([](auto& f) { f.metadata["architecture"] = "[]"; }), {"architecture", "an object"});
    expect_fault(tampered([](auto& f) { f.metadata["architecture"] = "{}"; }), {"the key 'dimensions'"});
    expect_fault(tampered([](auto& f) { f.tensors.erase("decoder.0.bias"); }), {"expected a tensor", "decoder.0.bias"});
    expect_fault(tampered([](auto& f) { f.tensors.at("decoder.0.bias") = io::tensor::of({7}, std::vector<float>(7)); }),
                 {"decoder.0.bias", "(7)", "(8)"});
    expect_fault(
        tampered([](auto& f) { f.tensors.at("decoder.0.bias") = io::tensor::of({8}, std::vector<std::int64_t>(8)); }),
        {"decoder.0.bias", "I64", "F32 or F64"});
    expect_fault(tampered([](auto& f) {
                     f.tensors.at("decoder.0.bias") = io::tensor::of({8}, std::vector<double>(8, std::nan("")));
                 }),
                 {"parameters[", "nan", "finite"});
}

TEST_F(VaeModelFile, FaultsOfTheArchitectureAreNamed) {
    const auto with = [&](const std::string& from, const std::string& to) {
        return tampered([&](io::tensor_file& f) {
            std::string& text = f.metadata["architecture"];
            const std::size_t at = text.find(from);
            ASSERT_NE(at, text.npos) << from << " in " << text;
            text.replace(at, from.size(), to);
        });
    };
    expect_fault(with("\"latent\":3", "\"latent\":0"), {"latent = 0"});
    expect_fault(with("\"latent\":3", "\"latent\":\"3\""), {"latent", "whole number"});
    expect_fault(with("\"encoder\":[8]", "\"encoder\":8"), {"encoder", "list"});
    expect_fault(with("\"encoder\":[8]", "\"encoder\":[8.5]"), {"encoder", "whole numbers"});
    expect_fault(with("\"tanh\"", "\"tan\""), {"activation = \"tan\"", "tanh"});
    // What a file claims costs no memory before it is checked.
    expect_fault(with("\"encoder\":[8]", "\"encoder\":[16777216,16777216]"), {"encoder.0.weight", "16777216"});
}

TEST_F(VaeModelFile, FaultsOfJsonAreNamed) {
    const std::string path = folder.path("m.json");
    model(test::small_network(2), 1).save(path);
    const std::string good = test::read_bytes(path);
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const std::size_t at = text.find(from);
        EXPECT_NE(at, text.npos) << from;
        return folder.write("bad.json", text.replace(at, from.size(), to));
    };
    expect_fault(with("\"encoder.0.weight\"", "\"encoder.0.weights\""), {"'encoder.0.weight'"});
    expect_fault(with("\"parameters\": {", "\"parameters\": 3, \"others\": {"), {"parameters", "an object"});
    expect_fault(with("elbo.vae", "elbo.gmm"), {"'elbo.vae'"});
    expect_fault(folder.write("bad.json", good.substr(0, good.size() / 2)), {"byte", "ends here"});
    expect_fault(folder.write("bad.json", "[1]"), {"JSON object"});
}

TEST_F(VaeModelFile, AModelIsNoCheckpointButACheckpointIsAModel) {
    const std::vector<float> x = test::noisy_bits(20, 4, 1);
    train_options o;
    o.epochs = 1;
    o.batch = 5;
    o.checkpoint.path = folder.path("run.safetensors");
    const train_result r = train(context::reference(), test::small_network(4), test::rows_of(x, 4), o);
    EXPECT_EQ(model::load(o.checkpoint.path).parameters(), r.model.parameters());
    o.resume = folder.path("model.safetensors");
    r.model.save(o.resume);
    expect_error<file_error>([&] { train(context::reference(), test::small_network(4), test::rows_of(x, 4), o); },
                             {"model.safetensors", "checkpoint"});
}

} // namespace
} // namespace elbo::vae
