// Raw numbers.
#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    elbo::file_options options;
    options.dimensions = 3;
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".f32"), options);
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".f64"), options);
    return 0;
}
