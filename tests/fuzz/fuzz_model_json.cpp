// Mixtures as JSON. What is read must survive being saved and read again.
#include "elbo/gmm/model.hpp"
#include "fuzz_file.hpp"

#include <optional>

namespace {

std::optional<elbo::gmm::model> load(const std::string& path) {
    try {
        return elbo::gmm::load(path);
    } catch (const elbo::error&) { // what a reader may throw
        return std::nullopt;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string path = elbo::fuzz::as_file(bytes, size, ".json");
    const std::optional<elbo::gmm::model> model = load(path);
    if (model) {
        elbo::gmm::save(*model, path);
        if (load(path) != model)
            std::abort();
    }
    ::unlink(path.c_str());
    return 0;
}
