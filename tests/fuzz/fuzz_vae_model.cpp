// Networks as JSON and as safetensors. What is read must survive being saved and read again.
#include "elbo/vae/model.hpp"
#include "fuzz_file.hpp"

#include <optional>

namespace {

std::optional<elbo::vae::model> load(const std::string& path) {
    try {
        return elbo::vae::model::load(path);
    } catch (const elbo::error&) { // what a reader may throw
        return std::nullopt;
    }
}

void check(const std::string& path) {
    const std::optional<elbo::vae::model> model = load(path);
    if (model) {
        model->save(path);
        const std::optional<elbo::vae::model> again = load(path);
        if (!again || again->parameters() != model->parameters() || again->architecture() != model->architecture())
            std::abort();
    }
    ::unlink(path.c_str());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    check(elbo::fuzz::as_file(bytes, size, ".json"));
    check(elbo::fuzz::as_file(bytes, size, ".safetensors"));
    return 0;
}
