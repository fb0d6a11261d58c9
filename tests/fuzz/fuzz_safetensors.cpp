// The safetensors container, without and with a model in it.
#include "elbo/gmm/model.hpp"
#include "fuzz_file.hpp"
#include "host/io/model/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string path = elbo::fuzz::as_file(bytes, size, ".safetensors");
    try {
        elbo::io::read_safetensors(path);
        elbo::gmm::load(path);
    } catch (const elbo::error&) { // what a reader may throw
    }
    ::unlink(path.c_str());
    return 0;
}
