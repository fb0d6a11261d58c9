// What can be read only once, and files that are compressed: every format through a pipe, standard input and gzip.
#include "elbo/error.hpp"
#include "host/io/model/safetensors.hpp"
#include "host/io/write/matrix.hpp"
#include "tests/support/io_files.hpp"

#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <zlib.h>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;

/// Standard input is a file for a while.
class redirected_input {
public:
    explicit redirected_input(const std::string& path) : redirected_input(::open(path.c_str(), O_RDONLY)) {}
    explicit redirected_input(int from) : before_(::dup(STDIN_FILENO)) {
        ::dup2(from, STDIN_FILENO);
        ::close(from);
    }
    ~redirected_input() {
        ::dup2(before_, STDIN_FILENO);
        ::close(before_);
    }

private:
    int before_;
};

class IoPipes : public testing::Test {
protected:
    /// A named pipe that somebody writes these bytes to, once.
    std::string pipe(const std::string& name, const std::string& bytes) {
        const std::string path = folder.path(name);
        EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
        writers_.emplace_back([path, bytes] { std::ofstream(path, std::ios::binary) << bytes; });
        return path;
    }
    void TearDown() override {
        for (std::thread& writer : writers_)
            writer.join();
    }
    std::string gzipped(const std::string& name, const std::string& bytes) {
        const gzFile file = gzopen(folder.path(name).c_str(), "wb");
        EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
        gzclose(file);
        return folder.path(name);
    }
    temporary_folder folder;

private:
    std::vector<std::thread> writers_;
};

std::string interop(const std::string& name) {
    return test_data("interop/" + name);
}

/// Files that hold table(5, 3), with what is needed to read them.
struct sample {
    std::string name, bytes;
    file_options options = {};
};

std::vector<sample> samples() {
    std::string text = "a,b,c\n";
    std::string raw;
    for (int i = 0; i < 5; ++i) {
        const double row[] = {10.0 * i, 10.0 * i + 1, 10.0 * i + 2};
        text += std::to_string(10 * i) + "," + std::to_string(10 * i + 1) + "," + std::to_string(10 * i + 2) + "\n";
        raw.append(reinterpret_cast<const char*>(row), sizeof row);
    }
    file_options three;
    three.dimensions = 3;
    std::vector<sample> all = {{"t.csv", text},
                               {"x.npy", read_bytes(interop("f8_5x3.npy"))},
                               {"y.npy", read_bytes(interop("fortran_i4_5x3.npy"))},
                               {"x.npz", read_bytes(interop("single.npz"))},
                               {"x.f64", raw, three}};
#ifdef ELBO_WITH_HDF5
    all.push_back({"x.h5", read_bytes(interop("single.h5"))});
#endif
    return all;
}

TEST_F(IoPipes, NamedPipesAreReadOnce) {
    for (const sample& s : samples()) {
        SCOPED_TRACE(s.name);
        const std::string path = pipe(s.name, s.bytes);
        const data_source source = data_source::file(path, s.options);
        for (const std::int64_t batch : {1, 2, 5}) // a pass each, of what only came once
            EXPECT_EQ(all_numbers(source, batch), table(5, 3));
        EXPECT_EQ(all_numbers(data_source::file(path, s.options)), table(5, 3)) << "opened again while a source lives";
        EXPECT_NE(source.description().find(s.name), std::string::npos);
    }
}

TEST_F(IoPipes, APipeOfTheSameNameIsAnotherOne) {
    std::optional<data_source> first = data_source::file(pipe("p.csv", "1,2\n"));
    ::unlink(folder.path("p.csv").c_str());
    EXPECT_EQ(all_numbers(data_source::file(pipe("p.csv", "3,4\n"))), (numbers{3, 4}));
    EXPECT_EQ(all_numbers(*first), (numbers{1, 2}));
}

TEST_F(IoPipes, StandardInputIsToldByItsFirstBytes) {
    for (const sample& s : samples()) {
        if (s.options.dimensions > 0)
            continue; // nothing tells it
        for (const bool compressed : {false, true}) {
            SCOPED_TRACE(s.name);
            const redirected_input input(compressed ? gzipped("z.gz", s.bytes) : folder.write("plain", s.bytes));
            const data_source source = data_source::file("-");
            EXPECT_EQ(all_numbers(source, 2), table(5, 3));
            EXPECT_EQ(source.description().substr(0, 14), "standard input");
            EXPECT_EQ(all_numbers(data_source::file("-"), 2), table(5, 3)) << "again while a source lives";
            if (!compressed) {
                EXPECT_EQ(all_numbers(data_source::file("/dev/stdin"), 2), table(5, 3));
            }
        }
    }
}

TEST_F(IoPipes, PipesWithoutAName) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::write(ends[1], "1,2\n3,4\n", 8), 8);
    ::close(ends[1]);
    EXPECT_EQ(all_numbers(data_source::file("/dev/fd/" + std::to_string(ends[0]))), (numbers{1, 2, 3, 4})); // as <(...)
    ::close(ends[0]);
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[1]);
    const redirected_input input(ends[0]);
    expect_error<file_error>([] { data_source::file("-"); }, {"standard input: line 1", "the file is empty"});
}

TEST_F(IoPipes, MessagesNameWhatWasGiven) {
    const std::string path = pipe("p.csv", "a,b\n1,2\n3,x\n");
    expect_error<file_error>([&] { data_source::file(path); }, {"p.csv: line 3: column 2 ('b')", "'x'"});
    const redirected_input input(folder.write("plain", "1,2\n3,x\n"));
    expect_error<file_error>([] { data_source::file("-"); }, {"standard input: line 2: column 2"});
}

TEST_F(IoPipes, WhatHasNoEndIsRefusedAtOnce) {
    expect_error<file_error>([] { data_source::file("/dev/zero"); }, {"/dev/zero: is a device"});
    expect_error<file_error>([] { data_source::file("/dev/null"); }, {"/dev/null", "the file is empty"});
    // A model is read in several places: a pipe that nobody writes to would be waited for.
    ASSERT_EQ(::mkfifo(folder.path("m.safetensors").c_str(), 0600), 0);
    expect_error<file_error>([&] { io::read_safetensors(folder.path("m.safetensors")); }, {"ordinary file"});
}

TEST_F(IoPipes, EveryFormatCompressed) {
    for (const sample& s : samples()) {
        SCOPED_TRACE(s.name);
        const data_source source = data_source::file(gzipped(s.name + ".gz", s.bytes), s.options);
        for (const std::int64_t batch : {1, 5})
            EXPECT_EQ(all_numbers(source, batch), table(5, 3));
        const std::string whole = read_bytes(folder.path(s.name + ".gz"));
        const std::string cut = folder.write("cut." + s.name + ".gz", whole.substr(0, whole.size() / 2));
        expect_error<file_error>([&] { data_source::file(cut, s.options); }, {"cut." + s.name + ".gz: byte"});
        const std::string plain = folder.write("plain." + s.name + ".gz", s.bytes);
        expect_error<file_error>([&] { data_source::file(plain, s.options); }, {"gz"});
    }
}

} // namespace
} // namespace elbo::test
