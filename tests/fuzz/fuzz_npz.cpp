// NumPy archives: the only member, and one by name.
#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".npz"));
    elbo::file_options options;
    options.dataset = "x";
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".npz"), options);
    return 0;
}
