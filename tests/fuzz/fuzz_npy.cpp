// NumPy arrays.
#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".npy"));
    return 0;
}
