// Binary arrays: .npy, .npz, raw numbers, idx. The files in data/interop were made by NumPy (data/interop/make.py).
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "tests/support/io_files.hpp"

#include <cmath>
#include <cstring>
#include <zlib.h>

namespace elbo::test {
namespace {

using namespace std::string_literals;
using numbers = std::vector<double>;

std::string interop(const std::string& name) {
    return test_data("interop/" + name);
}

std::string npy(const std::string& header, const std::string& data) {
    std::string bytes = "\x93NUMPY\x01\x00"s;
    bytes += static_cast<char>(header.size() & 255);
    bytes += static_cast<char>(header.size() >> 8);
    return bytes + header + data;
}

std::string npy_of(const std::string& descr, const std::string& shape, const std::string& data) {
    return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + "}\n", data);
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class IoArraySource : public testing::Test {
protected:
    void expect_fault(const std::string& name, const std::string& bytes, std::initializer_list<std::string_view> parts,
                      const file_options& options = {}) {
        SCOPED_TRACE(name);
        const std::string path = folder.write(name, bytes);
        expect_error<file_error>([&]() { data_source::file(path, options); }, parts);
    }
    temporary_folder folder;
};

// .npy -------------------------------------------------------------------------------------------------------------

TEST_F(IoArraySource, EveryTypeThatNumpyWrites) {
    for (const std::string type : {"f2", "f4", "f8", "big_f4", "big_f8", "i1", "u1", "i2", "u2", "big_i2", "i4", "u4",
                                   "i8", "u8", "fortran_f8", "fortran_i4", "version2_f4", "version3_f4"}) {
        SCOPED_TRACE(type);
        const data_source source = data_source::file(interop(type + "_5x3.npy"));
        EXPECT_EQ(source.rows(), 5);
        EXPECT_EQ(source.cols(), 3);
        EXPECT_EQ(source.type(), type.ends_with("f8") ? element_type::float64 : element_type::float32);
        for (const std::int64_t batch : {1, 2, 5, 6})
            EXPECT_EQ(all_numbers(source, batch), table(5, 3));
        file_options options;
        options.type = source.type() == element_type::float32 ? element_type::float64 : element_type::float32;
        const data_source other = data_source::file(interop(type + "_5x3.npy"), options);
        EXPECT_EQ(other.type(), *options.type);
        EXPECT_EQ(all_numbers(other, 2), table(5, 3));
        EXPECT_FALSE(source.contiguous() || other.contiguous());
        const data_source mapped = data_source::file(interop(type + "_5x3.npy"), {.map = true});
        EXPECT_EQ(mapped.type(), source.type());
        EXPECT_EQ(all_numbers(mapped, 2), table(5, 3));
    }
    const numbers flags = all_numbers(data_source::file(interop("bool_5x3.npy")));
    for (std::size_t i = 0; i < flags.size(); ++i)
        EXPECT_EQ(flags[i], static_cast<int>(table(5, 3)[i]) % 2);
}

TEST_F(IoArraySource, NativeNpyIsMappedWithoutACopyWhereThatIsAskedFor) {
    const data_source source = data_source::file(interop("f4_5x3.npy"), {.map = true});
    const auto whole = source.contiguous();
    ASSERT_TRUE(whole);
    EXPECT_EQ(source.read(2)->next().data, whole->data);
    EXPECT_EQ(whole->as<float>()(4, 2), 42);
    for (const char* converted : {"big_f4_5x3.npy", "i4_5x3.npy", "fortran_f8_5x3.npy"})
        EXPECT_FALSE(data_source::file(interop(converted), {.map = true}).contiguous()) << converted;
}

TEST_F(IoArraySource, OneExtentIsAColumnAndImagesAreRows) {
    const data_source column = data_source::file(interop("column_f4_5.npy"));
    EXPECT_EQ(column.cols(), 1);
    EXPECT_EQ(all_numbers(column), table(5, 1));
    const data_source images = data_source::file(interop("images_u1_4x2x2.npy"));
    EXPECT_EQ(images.rows(), 4);
    EXPECT_EQ(images.cols(), 4);
    EXPECT_EQ(all_numbers(images)[15], 15);
}

TEST_F(IoArraySource, HalfPrecision) {
    const std::vector<std::uint16_t> halves = {0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0x8000};
    const numbers expected = {0x1p-24, 1023 * 0x1p-24, 0x1p-14, 1, -2, 65504, INFINITY, -0.0};
    EXPECT_EQ(all_numbers(data_source::file(folder.write("h.npy", npy_of("<f2", "(8,)", bytes_of(halves))))), expected);
}

TEST_F(IoArraySource, ColumnsOfArraysGoByNumber) {
    file_options options;
    options.columns = {"2", "0"};
    for (const std::string name : {"f4_5x3.npy", "fortran_f8_5x3.npy", "big_i2_5x3.npy"}) {
        const data_source source = data_source::file(interop(name), options);
        EXPECT_EQ(source.cols(), 2);
        EXPECT_EQ(all_numbers(source, 2), (numbers{2, 0, 12, 10, 22, 20, 32, 30, 42, 40}));
        EXPECT_EQ(all_numbers(source, 100), (numbers{2, 0, 12, 10, 22, 20, 32, 30, 42, 40}));
    }
    options.columns = {"waiting"};
    expect_error<invalid_argument>([&]() { data_source::file(interop("f4_5x3.npy"), options); },
                                   {"no column 'waiting'", "from 0 to 2"});
}

TEST_F(IoArraySource, DtypesThatAreNoRealNumbersAreNamed) {
    const auto fails = [](const std::string& name, std::initializer_list<std::string_view> parts) {
        expect_error<file_error>([&]() { data_source::file(interop(name)); }, parts);
    };
    fails("complex.npy", {"complex.npy: byte", "'<c16' (complex)", "expected float32, float64 or an integer type"});
    fails("object.npy", {"'|O' (Python objects)"});
    fails("structured.npy", {"structured dtype"});
    fails("text.npy", {"'<U2' (text)"});
}

TEST_F(IoArraySource, TruncatedNpyNamesTheByte) {
    const std::string whole = read_bytes(interop("f4_5x3.npy"));
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_fault("cut.npy", whole.substr(0, length), {"cut.npy: byte " + std::to_string(length == 0 ? 0 : length)});
    expect_fault("cut.npy", whole.substr(0, whole.size() - 5),
                 {"byte 183: the file ends here, expected 5 more bytes (5 x 3 float32)"});
}

TEST_F(IoArraySource, NpyHeadersThatClaimTooMuch) {
    expect_fault("huge.npy", npy_of("<f8", "(4611686018427387904,)", ""), {"huge.npy: byte 10", "address can reach"});
    expect_fault("huge.npy", npy_of("<f4", "(2147483648, 2147483648)", ""), {"address can reach"});
    expect_fault("huge.npy", npy_of("<f4", "(4611686018427387904, 0)", ""), {"address can reach"});
    expect_fault("huge.npy", npy_of("<f4", "(99999999999999999999,)", ""), {"whole number of 64 bits"});
    expect_fault("huge.npy", npy_of("<f4", "(1000000000, 1000)", "abcd"),
                 {"ends here, expected 3999999999996 more bytes"});
    expect_fault("long.npy", "\x93NUMPY\x02\x00\xff\xff\xff\x7f"s, {"byte 8: a header of 2147483647 bytes"});
}

TEST_F(IoArraySource, MalformedNpyHeaders) {
    expect_fault("v.npy", "\x93NUMPY\x09\x00\x02\x00{}"s, {"byte 6: version 9", "expected 1, 2 or 3"});
    expect_fault("h.npy", npy("{}", ""), {"'descr', 'fortran_order' and 'shape'"});
    expect_fault("h.npy", npy("{'descr': '<f4', 'fortran_order': 7}", ""), {"byte 44", "expected True or False"});
    expect_fault("h.npy", npy("{'descr': '<f4'", ""), {"expected ',' or '}'"});
    expect_fault("h.npy", npy_of("<f4", "()", "abcd"), {"no extents"});
    expect_fault("h.npy", npy_of("<f4", "(-1, 2)", ""), {"negative"});
    expect_fault("h.npy", npy_of("<f16", "(1,)", ""), {"'<f16'"});
    expect_fault("text.npy", "1,2\n3,4\n", {"byte 0", "\\x93NUMPY", "looks like text"});
    expect_fault("empty.npy", "", {"an empty file"});
}

TEST_F(IoArraySource, NoRows) {
    const data_source source = data_source::file(folder.write("none.npy", npy_of("<f4", "(0, 3)", "")));
    EXPECT_EQ(source.rows(), 0);
    EXPECT_EQ(source.cols(), 3);
    EXPECT_TRUE(all_numbers(source).empty());
    // No memory is taken for rows that are not there.
    const std::string wide = npy_of("<i4", "(0, 1000000000000000)", "");
    EXPECT_EQ(data_source::file(folder.write("wide.npy", wide)).read(10)->next().rows, 0);
}

// .npz -------------------------------------------------------------------------------------------------------------

TEST_F(IoArraySource, NpzMembersStoredAndDeflated) {
    for (const std::string name : {"stored.npz", "deflated.npz"}) {
        SCOPED_TRACE(name);
        file_options options;
        options.dataset = "x";
        EXPECT_EQ(all_numbers(data_source::file(interop(name), options), 2), table(5, 3));
        EXPECT_EQ(data_source::file(interop(name), options).type(), element_type::float32);
        options.dataset = "f.npy";
        EXPECT_EQ(all_numbers(data_source::file(interop(name), options), 2), table(5, 3));
        EXPECT_EQ(all_numbers(data_source::file(interop(name) + ":/labels")), table(5, 1));
        expect_error<invalid_argument>([&]() { data_source::file(interop(name)); }, {"several", "'x', 'f', 'labels'"});
        options.dataset = "y";
        expect_error<invalid_argument>([&]() { data_source::file(interop(name), options); }, {"'y'", "'labels'"});
    }
    EXPECT_EQ(all_numbers(data_source::file(interop("single.npz"))), table(5, 3));
}

TEST_F(IoArraySource, DamagedNpz) {
    const std::string whole = read_bytes(interop("deflated.npz"));
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_fault("cut.npz", whole.substr(0, length), {"cut.npz: byte"});
    // A changed byte of the compressed data is found by the decompressor or by the checksum.
    std::size_t found = 0;
    const std::size_t first = whole.find("x.npy") + 30;
    for (std::size_t at = first; at < first + 60; ++at) {
        std::string damaged = whole;
        damaged[at] ^= 0x10;
        try {
            data_source::file(folder.write("bad.npz", damaged) + ":/x");
        } catch (const file_error& e) {
            found += std::string_view(e.what()).find("bad.npz") != std::string_view::npos;
        }
    }
    EXPECT_EQ(found, 60u);
    expect_fault("text.npz", "1,2\n", {"byte 0: expected a zip archive, but this looks like text"});
    std::string encrypted = read_bytes(interop("single.npz"));
    encrypted[encrypted.find("PK\x01\x02") + 8] |= 1;
    expect_fault("secret.npz", encrypted, {"is encrypted"});
    std::string packed = read_bytes(interop("single.npz"));
    packed[packed.find("PK\x01\x02") + 10] = 14;
    expect_fault("lzma.npz", packed, {"method 14, expected 0 (stored) or 8 (deflate)"});
}

// Raw numbers ------------------------------------------------------------------------------------------------------

TEST_F(IoArraySource, RawNumbers) {
    file_options options;
    options.dimensions = 3;
    const std::string singles = bytes_of(std::vector<float>{0, 1, 2, 10, 11, 12});
    const data_source source = data_source::file(folder.write("x.f32", singles), options);
    EXPECT_EQ(source.rows(), 2);
    options.map = true;
    EXPECT_TRUE(data_source::file(folder.path("x.f32"), options).contiguous());
    options.map = false;
    EXPECT_EQ(all_numbers(source, 1), table(2, 3));
    const std::string doubles = bytes_of(std::vector<double>{0, 1, 2, 10, 11, 12});
    EXPECT_EQ(all_numbers(data_source::file(folder.write("x.f64", doubles), options)), table(2, 3));
    expect_fault("cut.f32", singles.substr(0, 22), {"cut.f32: byte 22", "2 more bytes to complete row 1 of 3 numbers"},
                 options);
    options.dimensions = 0;
    expect_error<invalid_argument>([&]() { data_source::file(folder.path("x.f32"), options); },
                                   {"dimensions = 0", "x.f32", "how many columns"});
    options.dimensions = INT64_MAX;
    expect_error<file_error>([&]() { data_source::file(folder.path("x.f32"), options); }, {"address can reach"});
}

TEST_F(IoArraySource, AFileThatIsShortenedMeanwhileIsAnErrorOfReading) {
    const std::vector<double> values(3 * 1000, 1);
    const std::vector<std::int32_t> whole(3 * 1000, 1);
    for (const bool by_columns : {false, true})
        for (const bool converted : {false, true}) {
            SCOPED_TRACE(testing::Message() << "by columns " << by_columns << ", converted " << converted);
            const std::string bytes =
                converted ? npy_of("<i4", "(1000, 3)", bytes_of(whole)) : npy_of("<f8", "(1000, 3)", bytes_of(values));
            std::string stored = bytes;
            if (by_columns) // the word that npy_of writes
                stored.replace(stored.find("False"), 5, "True ");
            const std::string path = folder.write("t.npy", stored);
            const data_source source = data_source::file(path);
            EXPECT_EQ(all_numbers(source, 100).size(), 3000u);
            std::filesystem::resize_file(path, stored.size() / 2);
            const std::string place = "byte " + std::to_string(stored.size() / 2);
            expect_error<file_error>([&] { all_numbers(source, 100); }, {"t.npy", place, "the file ends here"});
        }
}

TEST_F(IoArraySource, AFileThatIsShortenedDuringAFitEndsTheFitWithTheReason) {
    std::vector<float> values;
    for (int i = 0; i < 2 * 9000; ++i)
        values.push_back(static_cast<float>(i % 97) + (i % 3 == 0 ? 100.0f : 0.0f));
    const std::string path = folder.write("t.f32", bytes_of(values));
    const data_source source = data_source::file(path, {.dimensions = 2});
    gmm::fit_options options;
    options.components = 2;
    options.memory_limit = 1; // the rows are read anew in each iteration
    options.tolerance = 0;
    options.max_iterations = 1000;
    std::int64_t iterations = 0;
    options.callback = [&](const gmm::progress&) {
        if (++iterations == 2)
            std::filesystem::resize_file(path, 20'000);
        return true;
    };
    expect_error<file_error>([&] { fit(context::cpu(), source, options); },
                             {"t.f32: byte 20000", "the file ends here"});
    EXPECT_LE(iterations, 4) << "a batch or two may have been read ahead";
}

TEST_F(IoArraySource, ALargeMappedFileIsReadWholeThoughItsPagesAreGivenBack) {
    // 300 MB of a sparse file: zeros, but for one number in each of three rows.
    const std::string path = folder.write("large.f32", "");
    const std::int64_t rows = 75'000, cols = 1000;
    std::filesystem::resize_file(path, static_cast<std::uintmax_t>(rows * cols * 4));
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows - 1}) {
        const float value = static_cast<float>(row + 1);
        file.seekp((row * cols + row % cols) * 4).write(reinterpret_cast<const char*>(&value), 4);
    }
    file.close();
    file_options options{.map = true};
    options.dimensions = cols;
    for (const bool converted : {false, true}) {
        if (converted)
            options.type = element_type::float64;
        const auto reader = data_source::file(path, options).read(10'000);
        double sum = 0;
        for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next())
            for (std::int64_t i = 0; i < batch.rows * batch.cols; ++i)
                sum += converted ? static_cast<const double*>(batch.data)[i]
                                 : static_cast<double>(static_cast<const float*>(batch.data)[i]);
        EXPECT_EQ(sum, 1 + (rows / 2 + 1) + rows);
    }
}

// idx --------------------------------------------------------------------------------------------------------------

std::string gzipped(const std::string& bytes) {
    const std::string path = (std::filesystem::temp_directory_path() / "elbo-idx-test.gz").string();
    const gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    std::string compressed = read_bytes(path);
    std::filesystem::remove(path);
    return compressed;
}

const std::string two_images = "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02"s + "\x01\x02\x03\x04\xfc\xfd\xfe\xff"s;

TEST_F(IoArraySource, IdxImagesBecomeRows) {
    for (const bool gzip : {false, true}) {
        const std::string path =
            folder.write(gzip ? "i-idx3-ubyte.gz" : "i-idx3-ubyte", gzip ? gzipped(two_images) : two_images);
        const data_source source = data_source::file(path);
        EXPECT_EQ(source.cols(), 4);
        EXPECT_EQ(source.type(), element_type::float32);
        EXPECT_EQ(all_numbers(source, 1), (numbers{1, 2, 3, 4, 252, 253, 254, 255}));
    }
}

TEST_F(IoArraySource, IdxTypesAreBigEndian) {
    const auto open = [&](const std::string& bytes) { return data_source::file(folder.write("x.idx", bytes)); };
    EXPECT_EQ(all_numbers(open("\0\0\x09\x01\0\0\0\x01\xff"s)), numbers{-1});
    EXPECT_EQ(all_numbers(open("\0\0\x0b\x01\0\0\0\x01\xff\x00"s)), numbers{-256});
    EXPECT_EQ(all_numbers(open("\0\0\x0c\x01\0\0\0\x01\0\x01\0\x02"s)), numbers{65538});
    EXPECT_EQ(all_numbers(open("\0\0\x0d\x01\0\0\0\x01\x3f\xc0\0\0"s)), numbers{1.5});
    EXPECT_EQ(all_numbers(open("\0\0\x0e\x01\0\0\0\x01\x3f\xf8\0\0\0\0\0\0"s)), numbers{1.5});
    EXPECT_EQ(open("\0\0\x0e\x01\0\0\0\x01\x3f\xf8\0\0\0\0\0\0"s).type(), element_type::float64);
}

TEST_F(IoArraySource, DamagedIdx) {
    for (std::size_t length = 0; length < two_images.size(); ++length)
        expect_fault("cut.idx", two_images.substr(0, length), {"cut.idx: byte " + std::to_string(length)});
    expect_fault("more.idx", two_images + "x", {"more.idx: byte 24: expected the end", "1 more bytes"});
    expect_fault("type.idx", "\0\0\x07\x01\0\0\0\x01\x01"s, {"byte 2: type 0x07"});
    expect_fault("text.idx", "1,2\n", {"byte 0", "00 00", "looks like text"});
    expect_fault("huge.idx", "\0\0\x0e\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s, {"address can reach"});
    expect_fault("large.idx.gz", gzipped("\0\0\x08\x02\x7f\xff\xff\xff\x7f\xff\xff\xff"s + "abc"),
                 {"large.idx.gz (decompressed): byte 15", "ends here"});
    expect_fault("more.idx.gz", gzipped(two_images + "x"), {"more.idx.gz (decompressed): byte 24", "there is more"});
    const std::string whole = gzipped(two_images);
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_fault("cut.idx.gz", whole.substr(0, length), {"cut.idx.gz: byte " + std::to_string(length)});
    expect_fault("plain.idx.gz", two_images, {"byte 0", "gzip", "looks like an idx file"});
}

TEST_F(IoArraySource, ALargeCompressedArrayIsStreamedInEachPass) {
    // 7 MB of numbers, more than is kept decompressed.
    const std::int64_t rows = 7000, cols = 1000;
    std::string bytes = "\0\0\x08\x02\0\0\x1b\x58\0\0\x03\xe8"s;
    bytes.reserve(static_cast<std::size_t>(rows * cols) + 12);
    for (std::int64_t i = 0; i < rows; ++i)
        bytes.append(static_cast<std::size_t>(cols), static_cast<char>(i % 251));
    const data_source source = data_source::file(folder.write("l.idx.gz", gzipped(bytes)), {.keep = 1 << 20});
    EXPECT_EQ(source.rows(), rows);
    for (int pass = 0; pass < 2; ++pass) {
        const auto reader = source.read(999);
        std::int64_t row = 0, faults = 0;
        for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next())
            for (std::int64_t i = 0; i < batch.rows; ++i, ++row)
                faults += batch.as<float>()(i, 0) != static_cast<float>(row % 251) ||
                          batch.as<float>()(i, cols - 1) != static_cast<float>(row % 251);
        EXPECT_EQ(row, rows);
        EXPECT_EQ(faults, 0);
    }
}

} // namespace
} // namespace elbo::test
