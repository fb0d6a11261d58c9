// HDF5 datasets. The files in data/interop were made by h5py (data/interop/make.py).
#include "elbo/error.hpp"
#include "host/io/write/matrix.hpp"
#include "tests/support/io_files.hpp"

#include <thread>

#ifdef ELBO_WITH_HDF5
#include "host/io/array/hdf5.hpp"
#endif

namespace elbo::test {
namespace {

using numbers = std::vector<double>;

#ifndef ELBO_WITH_HDF5

TEST(IoHdf5, ABuildWithoutHdf5SaysSo) {
    expect_error<not_available>([]() { data_source::file(test_data("interop/single.h5")); },
                                {"single.h5", "ELBO_HDF5=ON"});
    expect_error<not_available>([]() { io::matrix_writer::open("never.h5", 1, 1, io::output_type::float32); },
                                {"never.h5", "ELBO_HDF5=ON"});
}

#else

std::string interop(const std::string& name) {
    return test_data("interop/" + name);
}

TEST(IoHdf5, DatasetsByName) {
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

TEST(IoHdf5, TheOnlyMatrixNeedsNoName) {
    EXPECT_EQ(all_numbers(data_source::file(interop("single.h5"))), table(5, 3)); // big-endian float32
}

TEST(IoHdf5, Faults) {
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

TEST(IoHdf5, ReadersInTwoThreads) {
    const data_source source = data_source::file(interop("matrices.h5") + ":/group/packed");
    numbers first, second;
    std::thread other([&]() { second = all_numbers(source, 3); });
    first = all_numbers(source, 7);
    other.join();
    EXPECT_EQ(first, table(100, 3));
    EXPECT_EQ(second, table(100, 3));
}

TEST(IoHdf5, WhatIsWrittenIsRead) {
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

// What else h5py and PyTables write --------------------------------------------------------------------------------

std::string kinds(const std::string& name) {
    return interop("kinds.h5") + ":/" + name;
}

TEST(IoHdf5, BooleansAndOtherEnumerations) {
    numbers odd = table(5, 3);
    for (double& x : odd)
        x = static_cast<int>(x) % 2;
    for (const char* name : {"boolean", "bits"}) {
        const data_source source = data_source::file(kinds(name));
        EXPECT_EQ(source.type(), element_type::float32) << name;
        for (const std::int64_t batch : {1, 2, 9})
            EXPECT_EQ(all_numbers(source, batch), odd) << name;
    }
    EXPECT_EQ(all_numbers(data_source::file(kinds("colour"))), (numbers{-1, 300, 300, -1})); // big-endian, 2 bytes
    file_options options;
    options.type = element_type::float64;
    options.columns = {"2"};
    EXPECT_EQ(all_numbers(data_source::file(kinds("boolean"), options)), (numbers{0, 0, 0, 0, 0}));
}

TEST(IoHdf5, LzfOfH5pyIsDecompressed) {
    for (const std::int64_t batch : {1, 7, 64, 1000})
        EXPECT_EQ(all_numbers(data_source::file(kinds("lzf")), batch), table(1000, 3));
    EXPECT_EQ(all_numbers(data_source::file(kinds("lzf_integers")), 100), table(1000, 3));
}

TEST(IoHdf5, LzfBlocks) {
    using bytes = std::vector<unsigned char>;
    const auto decompressed = [](const bytes& in, std::size_t room, io::lzf_status expected) {
        bytes out(room);
        std::size_t written = 0;
        EXPECT_EQ(io::lzf_decompress(in, out, written), expected);
        out.resize(expected == io::lzf_status::done ? written : 0);
        return out;
    };
    EXPECT_EQ(decompressed({2, 'a', 'b', 'c'}, 3, io::lzf_status::done), (bytes{'a', 'b', 'c'}));
    // Four bytes from one byte back: source and target overlap.
    EXPECT_EQ(decompressed({0, 'x', 2 << 5, 0}, 5, io::lzf_status::done), (bytes{'x', 'x', 'x', 'x', 'x'}));
    EXPECT_EQ(decompressed({1, 'a', 'b', 7 << 5, 1, 1}, 12, io::lzf_status::done).size(), 12u); // 7 + 1 + 2 after two
    decompressed({2, 'a', 'b', 'c'}, 2, io::lzf_status::too_small);
    decompressed({0, 'x', 2 << 5, 0}, 4, io::lzf_status::too_small);
    decompressed({0, 'x', 2 << 5, 1}, 9, io::lzf_status::damaged); // from before the beginning
    decompressed({5, 'a'}, 9, io::lzf_status::damaged);
    decompressed({0, 'x', 7 << 5}, 99, io::lzf_status::damaged);
    decompressed({0, 'x', 7 << 5, 1}, 99, io::lzf_status::damaged);
    EXPECT_TRUE(decompressed({}, 9, io::lzf_status::done).empty());
}

TEST(IoHdf5, DamagedLzfIsAnError) {
    const temporary_folder folder;
    std::string whole = read_bytes(interop("kinds.h5"));
    const std::size_t size = whole.size();
    int faults = 0;
    for (std::size_t at = 2000; at < size; at += 97) { // wherever the chunks lie: an error or other numbers, no crash
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0xff);
        try {
            const data_source source = data_source::file(folder.write("d.h5", damaged) + ":/lzf");
            if (source.rows() == 1000) // else the damage is in the shape: chunks that are not there count as zeros
                all_numbers(source, 100);
        } catch (const error&) {
            ++faults;
        }
    }
    EXPECT_GT(faults, 0);
}

/// A file with a dataset [4 x 2] of one chunk of so many bytes, for which shuffle (1) and deflate (2) may be masked
/// out.
std::string with_chunk(const temporary_folder& folder, unsigned mask, std::size_t bytes) {
    const std::string path = folder.path("chunk.h5");
    const hsize_t extents[] = {4, 2}, offset[] = {0, 0};
    const std::vector<double> values(16, 1.5);
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, extents, nullptr);
    H5Pset_chunk(creation, 2, extents);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 6);
    const hid_t set = H5Dcreate2(file, "x", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, mask, offset, bytes, values.data()), 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(creation);
    H5Fclose(file);
    return path;
}

TEST(IoHdf5, ChunksAreAsLongAsTheirElements) {
    const temporary_folder folder;
    EXPECT_EQ(all_numbers(data_source::file(with_chunk(folder, 3, 64)), 4), numbers(8, 1.5));
    for (const std::size_t bytes : {8, 40, 72})
        for (const unsigned mask : {2u, 3u})
            expect_error<file_error>(
                [&] { all_numbers(data_source::file(with_chunk(folder, mask, bytes)), 4); },
                {"chunk.h5", "the chunk at (0, 0) has " + std::to_string(bytes) + " bytes", "expected 64"});
}

TEST(IoHdf5, WhatCannotBeDecompressedIsRefusedAtOnce) {
    expect_error<file_error>([] { data_source::file(kinds("zstd")); }, {"zstd", "filter 32015", "h5repack"});
    expect_error<file_error>([] { data_source::file(kinds("complex")); }, {"holds no numbers", "complex"});
    expect_error<file_error>([] { data_source::file(interop("matrices.h5") + ":/names"); }, {"but text"});
}

TEST(IoHdf5, WholeNumbersKeepTheirDigits) {
    const data_source stamps = data_source::file(kinds("stamps"));
    EXPECT_EQ(stamps.type(), element_type::float64);
    EXPECT_EQ(all_numbers(stamps, 1), (numbers{1700000000, 1, 1699999971, 2}));
    file_options options;
    options.columns = {"1"};
    EXPECT_EQ(data_source::file(kinds("stamps"), options).type(), element_type::float32);
    expect_error<file_error>([] { data_source::file(kinds("too_large")); },
                             {"too_large", "row 1, column 1", "9007199254740993", "2^53"});
    options.columns = {"0"};
    EXPECT_EQ(all_numbers(data_source::file(kinds("too_large"), options)), (numbers{1, 3}));
}

// Writing ----------------------------------------------------------------------------------------------------------

void write_pair(const std::string& path, double first) {
    const std::vector<double> x = {first, 2};
    io::matrix_writer writer = io::matrix_writer::open(path, 2, 1, io::output_type::float64);
    writer.append(matrix_view<const double>(x.data(), 2, 1));
    writer.close();
}

TEST(IoHdf5, ANamedDatasetIsAddedAndTheOthersStay) {
    const temporary_folder folder;
    const std::string path = folder.write("m.h5", read_bytes(interop("matrices.h5")));
    write_pair(path + ":/labels", 7);
    write_pair(path + ":/new/group/labels", 8);
    EXPECT_EQ(all_numbers(data_source::file(path + ":/labels")), (numbers{7, 2}));
    EXPECT_EQ(all_numbers(data_source::file(path + ":/new/group/labels")), (numbers{8, 2}));
    EXPECT_EQ(all_numbers(data_source::file(path + ":/plain")), table(5, 3));
    EXPECT_EQ(all_numbers(data_source::file(path + ":/group/packed"), 100), table(100, 3));
    write_pair(folder.path("fresh.h5") + ":/labels", 9); // a file of its own
    EXPECT_EQ(all_numbers(data_source::file(folder.path("fresh.h5"))), (numbers{9, 2}));
    EXPECT_EQ(folder.files(), 2u);
}

TEST(IoHdf5, WhatAFileHoldsIsNeverReplaced) {
    const temporary_folder folder;
    const std::string path = folder.write("m.h5", read_bytes(interop("matrices.h5")));
    const std::string before = read_bytes(path);
    expect_error<invalid_argument>([&] { write_pair(path, 1); }, {"m.h5", "holds", "already", "m.h5:/NAME"});
    expect_error<invalid_argument>([&] { write_pair(path + ":/plain", 1); }, {":/plain", "already"});
    expect_error<invalid_argument>([&] { write_pair(path + ":/group", 1); }, {":/group", "already"});
    expect_error<file_error>([&] { write_pair(path + ":/plain/inside", 1); }, {"m.h5", "cannot write"});
    expect_error<invalid_argument>([&] { write_pair(path + ":/", 1); }, {"the name of a dataset"});
    expect_error<invalid_argument>([&] { io::matrix_writer::check(path); }, {"already"});
    { io::matrix_writer unfinished = io::matrix_writer::open(path + ":/labels", 2, 1, io::output_type::float64); }
    EXPECT_EQ(read_bytes(path), before);
    EXPECT_EQ(folder.files(), 1u);
    write_pair(folder.path("own.h5"), 1); // what was written so, may be written again
    write_pair(folder.path("own.h5"), 3);
    EXPECT_EQ(all_numbers(data_source::file(folder.path("own.h5"))), (numbers{3, 2}));
}

#endif

} // namespace
} // namespace elbo::test
