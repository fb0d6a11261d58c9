// Text tables, by themselves and with options that the last byte chooses.
#include "fuzz_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    elbo::file_options options;
    if (const unsigned choice = size > 0 ? bytes[size - 1] : 0u; choice % 2 == 1) {
        options.header = choice & 2 ? elbo::header_row::yes : elbo::header_row::no;
        options.decimal_comma = (choice & 4) != 0;
        options.delimiter = choice & 8 ? ';' : '\0';
        options.missing = {"x", "-1"};
        options.strict = (choice & 16) != 0;
    }
    elbo::fuzz::read_all(elbo::fuzz::as_file(bytes, size, ".csv"), options);
    return 0;
}
