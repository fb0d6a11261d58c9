// The safetensors container: round trips, a file of the reference implementation, and everything that may be wrong.
#include "elbo/error.hpp"
#include "host/io/model/safetensors.hpp"
#include "tests/support/io_files.hpp"

#include <cstring>
#include <fmt/format.h>

namespace elbo::test {
namespace {

using io::tensor;
using io::tensor_file;

// The container around a header and data.
std::string container(const std::string& header, std::size_t data_bytes) {
    std::string bytes(8, '\0');
    for (std::size_t i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(header.size() >> (8 * i) & 255);
    return bytes + header + std::string(data_bytes, '\x01');
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& at) {
    return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape, at);
}

class IoSafetensors : public testing::Test {
protected:
    tensor_file read(const std::string& bytes) { return io::read_safetensors(folder.write("t.safetensors", bytes)); }
    void expect_fault(const std::string& bytes, std::initializer_list<std::string_view> parts) {
        SCOPED_TRACE(bytes.substr(0, 200));
        expect_error<file_error>([&]() { read(bytes); }, parts);
    }
    temporary_folder folder;
};

TEST_F(IoSafetensors, WhatIsWrittenIsRead) {
    tensor_file file;
    file.metadata = {{"format", "test"}, {"quote \" and \n", "ä"}};
    file.tensors.emplace("x", tensor::of({2, 3}, std::vector<float>{0.1f, 1, 2, 3, 4, 1e-45f}));
    file.tensors.emplace("y", tensor::of({1}, std::vector<double>{-0.0}));
    file.tensors.emplace("n", tensor::of({2}, std::vector<std::int64_t>{INT64_MIN, INT64_MAX}));
    file.tensors.emplace("none", tensor::of({0, 4}, std::vector<double>{}));
    file.tensors.emplace("scalar", tensor::of({}, std::vector<double>{7}));
    const std::string path = folder.path("t.safetensors");
    io::write_safetensors(path, file);
    EXPECT_EQ(folder.files(), 1u);
    const tensor_file back = io::read_safetensors(path);
    EXPECT_EQ(back.metadata, file.metadata);
    ASSERT_EQ(back.tensors.size(), file.tensors.size());
    for (const auto& [name, t] : file.tensors) {
        EXPECT_EQ(back.tensors.at(name).bytes, t.bytes) << name;
        EXPECT_EQ(back.tensors.at(name).shape, t.shape) << name;
        EXPECT_EQ(back.tensors.at(name).type, t.type) << name;
    }
    EXPECT_EQ(back.doubles("scalar", {}, path), std::vector<double>{7});
}

TEST_F(IoSafetensors, AFileOfTheReferenceImplementation) {
    const tensor_file file = io::read_safetensors(test_data("interop/tensors.safetensors"));
    EXPECT_EQ(file.metadata.at("made by"), "safetensors");
    EXPECT_EQ(file.doubles("y", {2, -1}, "t"), (std::vector<double>{0, 1, 2, 10, 11, 12}));
    const tensor& x = file.tensors.at("x");
    EXPECT_EQ(x.shape, (std::vector<std::int64_t>{5, 3}));
    float last = 0;
    std::memcpy(&last, x.bytes.data() + 14 * 4, 4);
    EXPECT_EQ(last, 42);
    expect_error<file_error>([&]() { file.doubles("z", {1}, "t"); }, {"t: expected a tensor 'z'"});
    expect_error<file_error>(
        [&]() {
            file.doubles("y", {3, 2}, "t");
        },
        {"'y'", "(2, 3)", "expected F64 of shape (3, 2)"});
    expect_error<file_error>([&]() { file.doubles("x", {5, 3}, "t"); }, {"'x': F32", "expected F64"});
}

TEST_F(IoSafetensors, TruncatedAtAnyByte) {
    const std::string whole = read_bytes(test_data("interop/tensors.safetensors"));
    for (std::size_t length = 0; length < whole.size(); ++length)
        expect_fault(whole.substr(0, length),
                     {fmt::format("t.safetensors: byte {}: the file ends here, expected", length)});
}

TEST_F(IoSafetensors, LengthsOfTheHeader) {
    expect_fault(std::string(8, '\xff') + "{}", {"byte 0", "length 18446744073709551615"});
    expect_fault(std::string(8, '\0'), {"byte 0", "length 0"});
    expect_fault("1,2,3\n4,5,6\n", {"byte 0", "looks like text"});
    expect_fault(container("[1]", 0), {"byte 0", "a JSON object"});
    expect_fault(container("{\"a\":", 0), {"byte 13: the JSON text ends here"});
    expect_fault(container("{\"a\" 1}", 0), {"byte 13: malformed JSON: '1}'"});
    expect_fault(container("{\"\xff\":1}", 0), {"byte", "malformed JSON"});
}

TEST_F(IoSafetensors, TensorsThatDoNotFit) {
    const auto one = [&](const std::string& dtype, const std::string& shape, const std::string& at) {
        return container(fmt::format("{{{}}}", entry("a", dtype, shape, at)), 8);
    };
    EXPECT_EQ(read(one("F64", "[1]", "[0,8]")).tensors.size(), 1u);
    expect_fault(one("F16", "[4]", "[0,8]"),
                 {"byte 8: in the header: tensor 'a': dtype 'F16', expected F32, F64 or I64"});
    expect_fault(one("F64", "[2]", "[0,8]"), {"'a': 8 bytes of data, but the shape (2) of F64 is of another size"});
    expect_fault(one("F64", "[-1]", "[0,8]"), {"'a': shape: expected a list of numbers"});
    expect_fault(one("F64", "[1.5]", "[0,8]"), {"'a': shape"});
    expect_fault(one("F64", "1", "[0,8]"), {"'a': shape"});
    expect_fault(one("F64", "[1]", "[8,0]"), {"'a': data_offsets: expected the begin and the end"});
    expect_fault(one("F64", "[1]", "[0,8,16]"), {"'a': data_offsets"});
    expect_fault(one("F64", "[4611686018427387904,4]", "[0,0]"), {"(4611686018427387904, 4)", "another size"});
    expect_fault(one("F64", "[2]", "[0,16]"), {"the file ends here, expected tensor 'a' to end"});
    expect_fault(container("{\"a\":3}", 0), {"tensor 'a': expected an object"});
    expect_fault(container("{\"__metadata__\":{\"a\":1}}", 0), {"__metadata__: 'a': expected a string"});
    expect_fault(container("{\"__metadata__\":[]}", 0), {"__metadata__: expected an object"});
}

TEST_F(IoSafetensors, OverlapsGapsAndWhatIsLeftOver) {
    const auto two = [&](const std::string& first, const std::string& second, std::size_t data) {
        return container(fmt::format("{{{},{}}}", entry("a", "F64", "[1]", first), entry("b", "F64", "[1]", second)),
                         data);
    };
    EXPECT_EQ(read(two("[8,16]", "[0,8]", 16)).tensors.size(), 2u);
    expect_fault(two("[0,8]", "[4,12]", 12), {"tensor 'b'", "overlap"});
    expect_fault(two("[0,8]", "[0,8]", 8), {"overlap"});
    expect_fault(two("[0,8]", "[12,20]", 20), {"tensor 'b'", "a gap"});
    expect_fault(two("[4,12]", "[12,20]", 20), {"tensor 'a'", "a gap"});
    expect_fault(two("[0,8]", "[8,16]", 20), {"expected the end after the last tensor, found 4 more bytes"});
    expect_fault(container("{\"a\":{},\"a\":{}}", 0), {"byte 8: the key 'a' occurs twice"});
}

TEST_F(IoSafetensors, WritingWhatDoesNotFit) {
    tensor_file file;
    file.tensors.emplace("a", tensor::of({3}, std::vector<double>{1}));
    expect_error<invalid_argument>([&]() { io::write_safetensors(folder.path("t.safetensors"), file); },
                                   {"tensor 'a'", "1 elements", "(3)"});
    EXPECT_EQ(folder.files(), 0u);
}

} // namespace
} // namespace elbo::test
