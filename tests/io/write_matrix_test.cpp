// Matrices to files and back, and files that are there whole or not at all.
#include "elbo/error.hpp"
#include "host/io/write/atomic_file.hpp"
#include "host/io/write/matrix.hpp"
#include "tests/support/io_files.hpp"

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <sys/resource.h>
#include <sys/stat.h>

namespace elbo::test {
namespace {

using io::matrix_writer;
using io::output_type;
using doubles = std::vector<double>;

// Numbers whose digits or bits are easily lost.
const doubles hard = {0.1,
                      1.0 / 3,
                      -0.0,
                      std::numeric_limits<double>::denorm_min(),
                      std::numeric_limits<double>::max(),
                      9007199254740993.0,
                      -2.2250738585072014e-308,
                      123456789.123456789};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

class IoWriteMatrix : public testing::Test {
protected:
    std::string write(const std::string& name, const doubles& x, std::int64_t cols, output_type type,
                      const std::vector<std::string>& names = {}) {
        const auto rows = static_cast<std::int64_t>(x.size()) / cols;
        matrix_writer writer = matrix_writer::open(folder.path(name), rows, cols, type, names);
        const matrix_view<const double> view(x.data(), rows, cols);
        writer.append(view.slice(0, 1));
        writer.append(view.slice(1, rows - 1));
        writer.close();
        return folder.path(name);
    }
    temporary_folder folder;
};

TEST_F(IoWriteMatrix, Float64SurvivesToTheBit) {
    file_options options;
    options.dimensions = 2;
    for (const std::string name : {"x.csv", "x.tsv", "x.npy", "x.f64"}) {
        const std::string path = write(name, hard, 2, output_type::float64);
        EXPECT_TRUE(same_bits(all_numbers(data_source::file(path, options)), hard)) << name;
    }
    EXPECT_EQ(folder.files(), 4u) << "no temporary file is left";
}

TEST_F(IoWriteMatrix, Float32SurvivesToTheBit) {
    const std::vector<float> x = {0.1f, 1.0f / 3, -0.0f, 1e-45f, 3.4028235e38f, 16777217.0f};
    file_options options;
    options.dimensions = 3;
    options.type = element_type::float32;
    for (const std::string name : {"x.csv", "x.npy", "x.f32"}) {
        matrix_writer writer = matrix_writer::open(folder.path(name), 2, 3, output_type::float32);
        writer.append(matrix_view<const float>(x.data(), 2, 3));
        writer.close();
        const auto reader = data_source::file(folder.path(name), options).read(2);
        const any_matrix_view batch = reader->next();
        ASSERT_EQ(batch.type, element_type::float32);
        const auto* first = static_cast<const float*>(batch.data);
        EXPECT_TRUE(same_bits(std::vector<float>(first, first + 6), x)) << name;
    }
}

TEST_F(IoWriteMatrix, TextIsShortAndHasAHeader) {
    EXPECT_EQ(read_bytes(write("x.csv", {0.1, 2, 3e22, -4}, 2, output_type::float64, {"a", "b, c"})),
              "a,\"b, c\"\n0.1,2\n3e+22,-4\n");
    const data_source source = data_source::file(folder.path("x.csv"));
    EXPECT_EQ(source.column_names(), (std::vector<std::string>{"a", "b, c"}));
    EXPECT_EQ(read_bytes(write("x.tsv", {1, 2}, 1, output_type::float32, {"he said \"x\""})),
              "\"he said \"\"x\"\"\"\n1\n2\n");
}

TEST_F(IoWriteMatrix, Integers) {
    const std::vector<std::int64_t> large = {INT64_MIN, -1, INT64_MAX};
    matrix_writer text = matrix_writer::open(folder.path("l.csv"), 3, 1, output_type::int64);
    text.append(matrix_view<const std::int64_t>(large.data(), 3, 1));
    text.close();
    EXPECT_EQ(read_bytes(folder.path("l.csv")), "-9223372036854775808\n-1\n9223372036854775807\n");
    const std::vector<std::int32_t> labels = {0, 7, -3};
    matrix_writer npy = matrix_writer::open(folder.path("l.npy"), 3, 1, output_type::int32);
    npy.append(matrix_view<const std::int32_t>(labels.data(), 3, 1));
    npy.close();
    EXPECT_EQ(all_numbers(data_source::file(folder.path("l.npy"))), (doubles{0, 7, -3}));
    EXPECT_NE(read_bytes(folder.path("l.npy")).find("'<i4'"), std::string::npos);
    EXPECT_EQ(read_bytes(write("l.tsv", {1, 2}, 2, output_type::int32)), "1\t2\n");
}

TEST_F(IoWriteMatrix, NpyIsAsNumpyWritesIt) {
    doubles x;
    for (int i = 0; i < 15; ++i)
        x.push_back(10 * (i / 3) + i % 3);
    EXPECT_EQ(read_bytes(write("x.npy", x, 3, output_type::float64)), read_bytes(test_data("interop/f8_5x3.npy")));
}

TEST_F(IoWriteMatrix, BatchesWithAStrideAndLargerThanABlock) {
    const std::int64_t rows = 70'000, cols = 3, stride = 4;
    std::vector<float> memory(static_cast<std::size_t>(rows * stride), -1);
    doubles expected;
    for (std::int64_t i = 0; i < rows * cols; ++i)
        expected.push_back(memory[static_cast<std::size_t>(i / cols * stride + i % cols)] = static_cast<float>(i));
    for (const std::string name : {"x.npy", "x.csv"}) {
        matrix_writer writer = matrix_writer::open(folder.path(name), 2 * rows, cols, output_type::float32);
        writer.append(matrix_view<const float>(memory.data(), rows, cols, stride, memory_space::host));
        std::vector<float> dense(expected.begin(), expected.end());
        writer.append(matrix_view<const float>(dense.data(), rows, cols));
        writer.close();
        const doubles read = all_numbers(data_source::file(folder.path(name)), 1 << 20);
        ASSERT_EQ(read.size(), 2 * expected.size());
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), read.begin()));
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), read.begin() + rows * cols));
    }
}

TEST_F(IoWriteMatrix, BadArguments) {
    const float x[4] = {};
    const auto open = [&](const std::string& name, const std::vector<std::string>& names = {}) {
        return matrix_writer::open(folder.path(name), 2, 2, output_type::float32, names);
    };
    expect_error<invalid_argument>([&]() { open("x.xls"); }, {"x.xls", ".csv", ".npy", ".h5"});
    expect_error<invalid_argument>([&]() { open("x.csv", {"a"}); }, {"1 column names, expected none or 2"});
    expect_error<invalid_argument>([&]() { matrix_writer::open(folder.path("x.csv"), -1, 2, output_type::float32); },
                                   {"-1 rows"});
    expect_error<invalid_argument>([&]() { open("x.csv").append(matrix_view<const float>(x, 1, 3)); },
                                   {"3 columns, expected 2"});
    expect_error<invalid_argument>([&]() { open("x.csv").append(matrix_view<const float>(x, 3, 2)); },
                                   {"3 rows after 0, expected 2 in all"});
    expect_error<invalid_argument>(
        [&]() { open("x.csv").append(matrix_view<const float>(x, 1, 2, memory_space::device)); }, {"device memory"});
    expect_error<invalid_argument>([&]() { open("x.csv").close(); }, {"0 rows written, expected 2"});
    EXPECT_EQ(folder.files(), 0u);
}

TEST_F(IoWriteMatrix, WithoutCloseTheOldFileStays) {
    folder.write("x.csv", "old");
    {
        const float x[2] = {};
        matrix_writer writer = matrix_writer::open(folder.path("x.csv"), 2, 2, output_type::float32);
        writer.append(matrix_view<const float>(x, 1, 2));
    }
    EXPECT_EQ(read_bytes(folder.path("x.csv")), "old");
    EXPECT_EQ(folder.files(), 1u);
}

TEST_F(IoWriteMatrix, Unwritable) {
    expect_error<file_error>(
        [&]() {
            write("none/x.csv", {1, 2}, 1, output_type::float32);
        },
        {"none/x.csv: cannot write: No such file or directory"});
    std::filesystem::create_directory(folder.path("folder.csv"));
    expect_error<file_error>(
        [&]() {
            write("folder.csv", {1, 2}, 1, output_type::float32);
        },
        {"folder.csv: cannot write: Is a directory"});
    if (::geteuid() == 0)
        return; // root may write anywhere
    folder.write("locked.csv", "old");
    ::chmod(folder.path("locked.csv").c_str(), 0444);
    expect_error<file_error>([&]() { write("locked.csv", {1, 2}, 1, output_type::float32); }, {"Permission denied"});
}

TEST_F(IoWriteMatrix, AFullDisk) {
    std::filesystem::create_symlink("/dev/full", folder.path("full.csv"));
    std::filesystem::create_symlink("/dev/full", folder.path("full.npy"));
    for (const std::string name : {"full.csv", "full.npy"})
        expect_error<file_error>(
            [&]() {
                write(name, {1, 2}, 1, output_type::float64);
            },
            {name + ": cannot write: No space left on device"});
}

// A limit on the size of files fails in the middle of a file as a full disk does.
TEST_F(IoWriteMatrix, AWriteThatFailsHalfWayLeavesTheOldFile) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{100'000, before.rlim_max};
    const doubles x(50'000, 0.123456789);
    for (const std::string name : {"x.csv", "x.npy", "x.f64"}) {
        folder.write(name, "old");
        ::setrlimit(RLIMIT_FSIZE, &small);
        expect_error<file_error>([&]() { write(name, x, 5, output_type::float64); },
                                 {name + ": cannot write: File too large"});
        ::setrlimit(RLIMIT_FSIZE, &before);
        EXPECT_EQ(read_bytes(folder.path(name)), "old");
    }
    EXPECT_EQ(folder.files(), 3u);
}

TEST_F(IoWriteMatrix, TheModeAndTheLinkOfAnOldFileStay) {
    folder.write("real.csv", "old");
    ::chmod(folder.path("real.csv").c_str(), 0600);
    std::filesystem::create_symlink("real.csv", folder.path("link.csv"));
    write("link.csv", {1, 2}, 1, output_type::float64);
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link.csv")));
    EXPECT_EQ(read_bytes(folder.path("real.csv")), "1\n2\n");
    struct stat status {};
    ::stat(folder.path("real.csv").c_str(), &status);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

} // namespace
} // namespace elbo::test
