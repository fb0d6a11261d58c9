// Mixtures on disk: every family in both formats to the bit, and files that are no such models.
#include "elbo/error.hpp"
#include "elbo/gmm/model.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/gmm/cases.hpp"
#include "tests/support/io_files.hpp"

#include <cmath>
#include <random>

namespace elbo::test {
namespace {

using gmm::family;
using gmm::model;
using doubles = std::vector<double>;

// A model whose numbers have all their digits, of magnitudes from 1e-150 to 1e150.
model random_model(family f, std::int64_t k, std::int64_t d, unsigned seed) {
    std::mt19937_64 bits(seed);
    std::uniform_real_distribution<double> uniform(-1, 1);
    doubles weights(static_cast<std::size_t>(k)), means(static_cast<std::size_t>(k * d));
    double sum = 0;
    for (double& w : weights)
        sum += w = 0.1 + std::abs(uniform(bits));
    for (double& w : weights)
        w /= sum;
    for (double& m : means)
        m = uniform(bits) * std::pow(10.0, 150 * uniform(bits));
    doubles factors(static_cast<std::size_t>(gmm::covariance_size(f, k, d)));
    for (double& u : factors)
        u = (0.01 + std::abs(uniform(bits))) * std::pow(10.0, 100 * uniform(bits));
    if (f == family::full || f == family::tied)
        for (std::size_t i = 0; i < factors.size(); ++i) {
            const auto place = static_cast<std::int64_t>(i) % (d * d);
            if (place / d > place % d)
                factors[i] = 0; // below the diagonal
        }
    return model::from_precision_cholesky(f, d, weights, means, factors);
}

class IoModelFile : public testing::Test {
protected:
    model round_trip(const model& m, const std::string& name) {
        gmm::save(m, folder.path(name));
        return gmm::load(folder.path(name));
    }
    void expect_fault(const std::string& name, const std::string& bytes,
                      std::initializer_list<std::string_view> parts) {
        SCOPED_TRACE(bytes.substr(0, 300));
        const std::string path = folder.write(name, bytes);
        expect_error<file_error>([&]() { gmm::load(path); }, parts);
    }
    temporary_folder folder;
};

TEST_F(IoModelFile, EveryFamilySurvivesToTheBit) {
    for (const family f : all_families)
        for (const std::int64_t k : {1, 3})
            for (const std::int64_t d : {1, 2, 5}) {
                const model m = random_model(f, k, d, 7);
                EXPECT_EQ(round_trip(m, "m.safetensors"), m) << to_string(f) << ' ' << k << ' ' << d;
                EXPECT_EQ(round_trip(m, "m.json"), m) << to_string(f) << ' ' << k << ' ' << d;
            }
    EXPECT_EQ(folder.files(), 2u) << "no temporary file is left";
}

TEST_F(IoModelFile, TheRegularisationOfAFitIsKeptToTheBit) {
    const model plain = random_model(family::diagonal, 2, 3, 4);
    const model m = plain.with_regularization({1e-6 / 3, 0, 4e-300}, {1.0 / 3, 2, 1e300});
    EXPECT_NE(m, plain);
    for (const std::string name : {"m.safetensors", "m.json"}) {
        const model read = round_trip(m, name);
        EXPECT_EQ(read, m);
        EXPECT_EQ(read.regularization(), m.regularization());
        EXPECT_EQ(read.regularization_variances(), m.regularization_variances());
    }
    expect_error<invalid_argument>([&] { plain.with_regularization({1, 1, 1}, {}); }, {"regularization_variances"});
    expect_error<invalid_argument>([&] { plain.with_regularization({1, 1}, {1, 1}); }, {"regularization", "3"});
    expect_error<invalid_argument>(
        [&] {
            plain.with_regularization({1, -1, 1}, {1, 1, 1});
        },
        {"regularization[1] = -1"});
    expect_error<invalid_argument>(
        [&] {
            plain.with_regularization({1, 1, 1}, {1, 1, 0});
        },
        {"regularization_variances[2] = 0"});
    const std::string some = R"({"format": "elbo.gmm", "version": 1, "family": "spherical", "components": 1,
        "dimensions": 1, "weights": [1], "means": [[0]], "precision_cholesky": [1], )";
    EXPECT_TRUE(gmm::load(folder.write("old.json", some + R"("column_names": []})")).regularization().empty());
    expect_fault("a.json", some + R"("regularization": [1]})", {"regularization_variances"});
    expect_fault("b.json", some + R"("regularization": [1, 2], "regularization_variances": [1]})", {"regularization"});
    expect_fault("c.json", some + R"("regularization": [-1], "regularization_variances": [1]})",
                 {"regularization[0] = -1"});
}

TEST_F(IoModelFile, NamesOfColumnsAreKept) {
    const model m = random_model(family::diagonal, 2, 3, 1);
    const std::vector<std::string> names = {"eruptions", "waiting \"time\"", "größe"};
    for (const std::string name : {"m.safetensors", "m.json"}) {
        gmm::save(m, folder.path(name), names);
        EXPECT_EQ(gmm::load_saved(folder.path(name)).column_names, names);
        EXPECT_EQ(gmm::load(folder.path(name)), m);
    }
    gmm::save(m, folder.path("latin1.json"),
              {"gr\xf6\xdf"
               "e",
               "b", "c"}); // not UTF-8: replaced, not refused
    EXPECT_EQ(gmm::load_saved(folder.path("latin1.json")).column_names.size(), 3u);
}

TEST_F(IoModelFile, JsonIsForReadingByEye) {
    const model m =
        model::from_precision_cholesky(family::full, 2, {0.25, 0.75}, {1, 2, 3, 4}, {1, 0.5, 0, 2, 1, 0, 0, 4});
    gmm::save(m, folder.path("m.json"), {"a", "b"});
    EXPECT_EQ(read_bytes(folder.path("m.json")), R"({
  "format": "elbo.gmm",
  "version": 1,
  "family": "full",
  "components": 2,
  "dimensions": 2,
  "column_names": ["a","b"],
  "weights": [0.25,0.75],
  "means": [
    [1.0,2.0],
    [3.0,4.0]],
  "precision_cholesky": [
    [
    [1.0,0.5],
    [0.0,2.0]],
    [
    [1.0,0.0],
    [0.0,4.0]]]
}
)");
}

TEST_F(IoModelFile, JsonByHandMayGiveCovariances) {
    const model m = gmm::load(folder.write("m.json", R"({"format": "elbo.gmm", "version": 1, "family": "diagonal",
        "components": 2, "dimensions": 2, "weights": [0.5, 0.5], "means": [[0, 1], [2, 3]],
        "covariances": [[4, 16], [0.25, 1]]})"));
    EXPECT_EQ(m.precision_cholesky(), (doubles{0.5, 0.25, 2, 1}));
}

TEST_F(IoModelFile, UnknownEndingsAndMissingFiles) {
    const model m = random_model(family::full, 1, 1, 1);
    expect_error<invalid_argument>([&]() { gmm::save(m, folder.path("m.npy")); }, {"m.npy", ".safetensors or .json"});
    expect_error<invalid_argument>(
        [&]() {
            gmm::save(m, folder.path("m.json"), {"a", "b"});
        },
        {"column_names: 2 names"});
    expect_error<file_error>([&]() { gmm::load(folder.path("m.json")); }, {"m.json: cannot open: No such file"});
    expect_error<file_error>([&]() { gmm::load(folder.path("m.safetensors")); }, {"m.safetensors: cannot open"});
    expect_fault("m.csv", "1,2\n", {"m.csv", ".safetensors or .json", "looks like text"});
    expect_error<file_error>([&]() { gmm::save(m, folder.path("none/m.json")); }, {"none/m.json: cannot write"});
    std::filesystem::create_symlink("/dev/full", folder.path("full.json"));
    std::filesystem::create_symlink("/dev/full", folder.path("full.safetensors"));
    for (const std::string name : {"full.json", "full.safetensors"})
        expect_error<file_error>([&]() { gmm::save(m, folder.path(name)); }, {name + ": cannot write: No space left"});
}

TEST_F(IoModelFile, TruncatedAtAnyByte) {
    const model m = random_model(family::tied, 2, 2, 3);
    for (const std::string name : {"m.safetensors", "m.json"}) {
        gmm::save(m, folder.path(name));
        const std::string whole = read_bytes(folder.path(name));
        const std::size_t end = name == "m.json" ? whole.rfind('}') + 1 : whole.size(); // a last line end may be cut
        for (std::size_t length = 0; length < end; ++length)
            expect_fault("cut" + name, whole.substr(0, length), {"cut" + name + ": byte " + std::to_string(length)});
    }
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    EXPECT_NE(text.find(what), text.npos) << what;
    return text.replace(text.find(what), what.size(), by);
}

TEST_F(IoModelFile, JsonThatIsNoModel) {
    const model m =
        model::from_precision_cholesky(family::full, 2, {0.25, 0.75}, {1, 2, 3, 4}, {1, 0.5, 0, 2, 1, 0, 0, 4});
    gmm::save(m, folder.path("good.json"));
    const std::string good = read_bytes(folder.path("good.json"));
    const auto fails = [&](const std::string& what, const std::string& by,
                           std::initializer_list<std::string_view> parts) {
        expect_fault("m.json", replaced(good, what, by), parts);
    };
    fails("elbo.gmm", "other", {"m.json: format = 'other', expected 'elbo.gmm'"});
    fails("\"version\": 1", "\"version\": 2", {"version = 2, expected 1"});
    fails("\"version\": 1", "\"version\": 1.5", {"version = '1.5', expected a whole number"});
    fails("\"version\": 1", "\"version\": [[[]]]", {"version = a list, expected a whole number"});
    fails("\"full\"", "\"round\"", {"m.json", "round", "tied_diagonal"});
    fails("\"full\"", "3", {"family = '3', expected a string"});
    fails("\"dimensions\": 2", "\"dimensions\": 3", {"means[0]: expected a list of 3 entries, found 2"});
    fails("\"dimensions\": 2", "\"dimensions\": 0", {"dimensions = 0: expected at least 1"});
    fails("\"dimensions\": 2", "\"dimensions\": 4000000000", {"more numbers than an address can reach"});
    fails("\"dimensions\": 2", "\"dimensions\": 99999999999999999999", {"dimensions", "expected a whole number"});
    fails("\"components\": 2", "\"components\": 3", {"weights: expected a list of 3 entries, found 2"});
    fails("0.75", "0.5", {"m.json: weights sum to 0.75"});
    fails("0.75", "\"x\"", {"weights[1]: expected a number, found '\"x\"'"});
    fails("3.0", "1e999", {"m.json: byte 0: malformed JSON"});
    fails("3.0", "nan", {"m.json: byte 182: malformed JSON"});
    fails("[0.0,4.0]", "[1.0,4.0]", {"m.json", "below the diagonal"});
    fails("\"means\"", "\"meens\"", {"expected the key 'means'"});
    fails("\"means\"", "\"weights\"", {"the key 'weights' occurs twice"});
    fails("\"column_names\": []", "\"column_names\": [\"a\"]", {"1 column_names", "2 dimensions"});
    fails("\"column_names\": []", "\"column_names\": 7", {"column_names: expected a list of strings"});
    expect_fault("m.json", "[1]", {"byte 0: expected a JSON object"});
    expect_fault("m.json", "PK\x03\x04", {"byte 0", "a zip archive"});
    expect_fault("m.json", good + "x", {"malformed JSON: 'x'"});
}

TEST_F(IoModelFile, SafetensorsThatAreNoModel) {
    const model m = random_model(family::full, 2, 2, 5);
    gmm::save(m, folder.path("m.safetensors"));
    const io::tensor_file good = io::read_safetensors(folder.path("m.safetensors"));
    const auto fails = [&](auto change, std::initializer_list<std::string_view> parts) {
        io::tensor_file bad = good;
        change(bad);
        io::write_safetensors(folder.path("m.safetensors"), bad);
        expect_error<file_error>([&]() { gmm::load(folder.path("m.safetensors")); }, parts);
    };
    fails([](auto& f) { f.metadata.clear(); }, {"__metadata__: expected the key"});
    fails([](auto& f) { f.metadata["format"] = "pt"; }, {"format = 'pt', expected 'elbo.gmm'"});
    fails([](auto& f) { f.metadata["version"] = "9"; }, {"version = 9, expected 1"});
    fails([](auto& f) { f.metadata["components"] = "2x"; }, {"components = '2x', expected a whole number"});
    fails([](auto& f) { f.metadata["dimensions"] = "3"; }, {"tensor 'means'", "(2, 2), expected F64 of shape (2, 3)"});
    fails([](auto& f) { f.metadata["family"] = "tied"; },
          {"tensor 'precision_cholesky'", "expected F64 of shape (2, 2)"});
    fails([](auto& f) { f.tensors.erase("means"); }, {"expected a tensor 'means'"});
    fails([](auto& f) { f.tensors.at("weights") = io::tensor::of({2}, std::vector<float>{0.5f, 0.5f}); }, {"F32"});
    fails(
        [](auto& f) {
            f.tensors.at("weights") = io::tensor::of({2}, doubles{1, -1});
        },
        {"m.safetensors: weights[1] = -1"});
    fails([](auto& f) { f.tensors.at("means") = io::tensor::of({2, 2}, doubles{1, 2, NAN, 4}); }, {"means[2] = nan"});
}

} // namespace
} // namespace elbo::test
