// HDF5 datasets. The files in data/interop were made by h5py (data/interop/make.py).
#include "elbo/error.hpp"
#include "host/io/write_matrix.hpp"
#include "support/io_files.hpp"

#include <thread>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;

#ifndef ELBO_WITH_HDF5

TEST(io_hdf5, a_build_without_hdf5_says_so) {
    expect_error<not_available>([]() { data_source::file(test_data("interop/single.h5")); },
                                {"single.h5", "ELBO_HDF5=ON"});
    expect_error<not_available>([]() { io::matrix_writer::open("never.h5", 1, 1, io::output_type::float32); },
                                {"never.h5", "ELBO_HDF5=ON"});
}

#else

std::string interop(const std::string& name) {
    return test_data("interop/" + name);
}

TEST(io_hdf5, datasets_by_name) {
    const std::string path = interop("matrices.h5");
    const data_source plain = data_source::file(path + ":/plain");
    EXPECT_EQ(plain.type(), element_type::float64);
    for (const std::int64_t batch : {1, 2, 5, 9})
        EXPECT_EQ(all_numbers(plain, batch), table(5, 3));
    const data_source packed = data_source::file(path + ":/group/packed"); // chunked and compressed integers
    EXPECT_EQ(packed.type(), element_type::float32);
    EXPECT_EQ(all_numbers(packed, 11), table(100, 3));
    EXPECT_EQ(all_numbers(data_source::file(path + ":/column")), table(5, 1));
    file_options options;
    options.dataset = "plain";
    options.type = element_type::float32;
    options.columns = {"1"};
    const data_source chosen = data_source::file(path, options);
    EXPECT_EQ(chosen.type(), element_type::float32);
    EXPECT_EQ(all_numbers(chosen), (numbers{1, 11, 21, 31, 41}));
}

TEST(io_hdf5, the_only_matrix_needs_no_name) {
    EXPECT_EQ(all_numbers(data_source::file(interop("single.h5"))), table(5, 3)); // big-endian float32
}

TEST(io_hdf5, faults) {
    expect_error<invalid_argument>([]() { data_source::file(interop("matrices.h5")); },
                                   {"several datasets", "'/plain'", "'/group/packed'", "'/column'"});
    expect_error<invalid_argument>([]() { data_source::file(interop("matrices.h5") + ":/absent"); },
                                   {"'/absent'", "no such"});
    expect_error<file_error>([]() { data_source::file(interop("matrices.h5") + ":/names"); },
                             {"/names", "holds no numbers"});
    const temporary_folder folder;
    expect_error<file_error>([&]() { data_source::file(folder.path("missing.h5")); }, {"missing.h5: cannot open"});
    expect_error<file_error>([&]() { data_source::file(folder.write("text.h5", "1,2\n")); },
                             {"text.h5: byte 0", "\\x89HDF", "looks like text"});
    const std::string whole = read_bytes(interop("single.h5"));
    for (const std::size_t length : {whole.size() - 1, whole.size() / 2, std::size_t{100}, std::size_t{20}})
        expect_error<file_error>([&]() { data_source::file(folder.write("cut.h5", whole.substr(0, length))); },
                                 {"cut.h5", "byte " + std::to_string(length)});
}

TEST(io_hdf5, readers_in_two_threads) {
    const data_source source = data_source::file(interop("matrices.h5") + ":/group/packed");
    numbers first, second;
    std::thread other([&]() { second = all_numbers(source, 3); });
    first = all_numbers(source, 7);
    other.join();
    EXPECT_EQ(first, table(100, 3));
    EXPECT_EQ(second, table(100, 3));
}

TEST(io_hdf5, what_is_written_is_read) {
    const temporary_folder folder;
    const std::vector<double> x = {0.1, -1e300, 5e-324, 3, 4, 5};
    io::matrix_writer writer = io::matrix_writer::open(folder.path("x.h5"), 3, 2, io::output_type::float64);
    const matrix_view<const double> view(x.data(), 3, 2);
    writer.append(view.slice(0, 1));
    writer.append(view.slice(1, 2));
    EXPECT_FALSE(std::filesystem::exists(folder.path("x.h5")));
    writer.close();
    EXPECT_EQ(all_numbers(data_source::file(folder.path("x.h5"))), x);
    EXPECT_EQ(folder.files(), 1u);
}

#endif

} // namespace
} // namespace elbo::test
