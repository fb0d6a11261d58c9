// Whole numbers in binary files: float32 where it holds all of them, else float64, and refused where that cannot.
#include "elbo/error.hpp"
#include "host/io/array/scalar.hpp"
#include "tests/support/io_files.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <zlib.h>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;

template <class T>
std::string npy_of(const std::string& descr, std::int64_t rows, std::int64_t cols, std::vector<T> values,
                   bool fortran = false) {
    if (descr[0] == '>')
        for (T& value : values) {
            char* const bytes = reinterpret_cast<char*>(&value);
            std::reverse(bytes, bytes + sizeof value);
        }
    std::string header = "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
                         ", 'shape': (" + std::to_string(rows) + ", " + std::to_string(cols) + ")}\n";
    std::string bytes = "\x93NUMPY\x01";
    bytes += '\0';
    bytes += static_cast<char>(header.size() & 255);
    bytes += static_cast<char>(header.size() >> 8);
    return bytes + header + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

class IoWholeNumbers : public testing::Test {
protected:
    template <class T>
    data_source open(const std::string& descr, std::vector<T> values, const file_options& options = {},
                     bool fortran = false) {
        const auto rows = static_cast<std::int64_t>(values.size() / 2);
        return data_source::file(folder.write("x.npy", npy_of(descr, rows, 2, std::move(values), fortran)), options);
    }
    template <class T>
    void expect_type(const std::string& descr, std::vector<T> values, element_type type) {
        SCOPED_TRACE(descr + ": " + std::to_string(values[0]));
        const numbers expected(values.begin(), values.end());
        const data_source source = open(descr, std::move(values));
        EXPECT_EQ(source.type(), type);
        for (const std::int64_t batch : {1, 2, 3})
            EXPECT_EQ(all_numbers(source, batch), expected);
    }
    temporary_folder folder;
};

constexpr std::int64_t single_limit = std::int64_t{1} << 24, double_limit = std::int64_t{1} << 53;

TEST_F(IoWholeNumbers, TheTypeFollowsFromTheLargestOfThem) {
    using enum element_type;
    expect_type<std::int8_t>("|i1", {-128, 127}, float32);
    expect_type<std::uint8_t>("|u1", {0, 255}, float32);
    expect_type<std::int16_t>("<i2", {-32768, 32767}, float32);
    expect_type<std::uint16_t>(">u2", {0, 65535}, float32);
    for (const std::string order : {"<", ">"}) {
        expect_type<std::int32_t>(order + "i4", {-(1 << 24), 1 << 24, 1, 2}, float32);
        expect_type<std::int32_t>(order + "i4", {1, 2, 3, (1 << 24) + 1}, float64);
        expect_type<std::int32_t>(order + "i4", {std::numeric_limits<std::int32_t>::min(), 1}, float64);
        expect_type<std::uint32_t>(order + "u4", {4294967295u, 1}, float64);
        expect_type<std::int64_t>(order + "i8", {single_limit, -single_limit}, float32);
        expect_type<std::int64_t>(order + "i8", {1, -single_limit - 1}, float64);
        expect_type<std::int64_t>(order + "i8", {double_limit, -double_limit}, float64);
        expect_type<std::uint64_t>(order + "u8", {0, std::uint64_t{1} << 53}, float64);
    }
}

TEST_F(IoWholeNumbers, WhatFloat64CannotHoldIsRefusedWithRowAndColumn) {
    const auto refused = [&](const data_source&) { FAIL(); };
    expect_error<file_error>(
        [&] {
            refused(open<std::int64_t>("<i8", {1, 2, 3, double_limit + 1}));
        },
        {"x.npy: row 1, column 1: 9007199254740993 is beyond 2^53"});
    expect_error<file_error>(
        [&] {
            refused(open<std::int64_t>(">i8", {1, 2, -double_limit - 1, 3}));
        },
        {"row 1, column 0: -9007199254740993"});
    expect_error<file_error>(
        [&] {
            refused(open<std::int64_t>("<i8", {std::numeric_limits<std::int64_t>::min(), 2}));
        },
        {"row 0, column 0: -9223372036854775808"});
    expect_error<file_error>(
        [&] {
            refused(open<std::uint64_t>("<u8", {1, std::numeric_limits<std::uint64_t>::max()}));
        },
        {"row 0, column 1: 18446744073709551615"});
    expect_error<file_error>(
        [&] {
            refused(open<std::int64_t>("<i8", {1, 2, double_limit + 1, 3}, {}, true));
        },
        {"row 0, column 1: 9007199254740993"}); // by columns
    file_options options;
    options.type = element_type::float32;
    expect_error<file_error>([&] { refused(open<std::int64_t>("<i8", {1, double_limit + 1}, options)); }, {"2^53"});
}

TEST_F(IoWholeNumbers, OnlyTheColumnsThatAreReadCount) {
    file_options first, second;
    first.columns = {"0"};
    second.columns = {"1"};
    const std::vector<std::int64_t> values = {1, double_limit + 1, single_limit + 1, 5};
    EXPECT_EQ(all_numbers(open("<i8", values, first)), (numbers{1, single_limit + 1}));
    EXPECT_EQ(open("<i8", values, first).type(), element_type::float64);
    EXPECT_THROW(open("<i8", values, second), file_error);
}

TEST_F(IoWholeNumbers, ATypeThatIsAskedForIsTaken) {
    file_options options;
    options.type = element_type::float32;
    const data_source rounded = open<std::int64_t>("<i8", {single_limit + 1, 2}, options);
    EXPECT_EQ(rounded.type(), element_type::float32);
    EXPECT_EQ(all_numbers(rounded)[0], static_cast<double>(static_cast<float>(single_limit + 1)));
}

TEST_F(IoWholeNumbers, TheLastRowOfALargeFileDecidesForAll) {
    std::vector<std::int32_t> values(3'000'000, 5);
    values[2'999'999] = (1 << 24) + 1;
    const data_source source = open<std::int32_t>("<i4", values);
    EXPECT_EQ(source.type(), element_type::float64);
    EXPECT_EQ(source.read(10)->next().type, element_type::float64);
}

TEST_F(IoWholeNumbers, StampsAreTheSameFromBothFormats) {
    const data_source array = data_source::file(test_data("failing/03_stamps.npy"));
    const data_source text = data_source::file(test_data("failing/03_stamps.csv"));
    EXPECT_EQ(array.type(), element_type::float64);
    const numbers read = all_numbers(array, 100);
    EXPECT_EQ(read, all_numbers(text, 100));
    EXPECT_EQ(std::set<double>(read.begin(), read.end()).size(), 152u);
}

TEST_F(IoWholeNumbers, CompressedArraysAreLookedAtToo) {
    const auto write = [&](const std::string& name, const std::string& bytes) {
        const gzFile file = gzopen(folder.path(name).c_str(), "wb1");
        EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
        gzclose(file);
        return folder.path(name);
    };
    EXPECT_EQ(data_source::file(write("s.npy.gz", npy_of<std::int64_t>("<i8", 1, 2, {single_limit + 1, 2}))).type(),
              element_type::float64);
    // More than is kept: 7 MB, decompressed anew in each pass.
    const file_options options{.keep = 1 << 20};
    std::vector<std::int64_t> values(900'000, 3);
    values[899'998] = single_limit + 1;
    const data_source large = data_source::file(write("l.npy.gz", npy_of("<i8", 450'000, 2, values)), options);
    EXPECT_EQ(large.type(), element_type::float64);
    EXPECT_FALSE(large.contiguous());
    values[899'999] = -double_limit - 1;
    for (const file_options& some : {options, file_options()})
        expect_error<file_error>([&] { data_source::file(write("l.npy.gz", npy_of("<i8", 450'000, 2, values)), some); },
                                 {"l.npy.gz: row 449999, column 1: -9007199254740993"});
}

TEST_F(IoWholeNumbers, NumbersThatStandForMissingValuesAreRefused) {
    file_options options;
    options.missing = {"NA", "-999"};
    expect_error<file_error>(
        [&] {
            open<std::int32_t>("<i4", {1, 2, -999, 4}, options);
        },
        {"x.npy: row 1, column 0: -999", "missing"});
    expect_error<file_error>([&] { open<double>("<f8", {1, -999, 3, 4}, options); }, {"row 0, column 1: -999"});
    expect_error<file_error>([&] { open<float>("<f4", {1, 2, 3, -999}, options); }, {"row 1, column 1: -999"});
    EXPECT_EQ(open<double>("<f8", {1, -999.5}, options).rows(), 1);
}

} // namespace
} // namespace elbo::test
