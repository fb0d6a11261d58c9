// A file is read once where its numbers fit into memory, whatever passes follow and however many groups of columns.
#include "elbo/error.hpp"
#include "elbo/gmm/fit.hpp"
#include "host/io/sources.hpp"
#include "host/io/write/matrix.hpp"
#include "kernels/shared/memory.hpp"
#include "tests/support/io_files.hpp"

#include <functional>
#include <zlib.h>

namespace elbo::test {
namespace {

using numbers = std::vector<double>;

/// Bytes that this process has read so far; -1 where the system does not say.
double bytes_read() {
    std::ifstream counts("/proc/self/io");
    std::string name;
    double bytes = -1;
    counts >> name >> bytes;
    return name == "rchar:" ? bytes : -1;
}

/// Bytes read during an action, as a share of those of the file.
double share_read(const std::string& path, const std::function<void()>& action) {
    const double before = bytes_read();
    action();
    return (bytes_read() - before) / static_cast<double>(std::filesystem::file_size(path));
}

class IoOnePass : public testing::Test {
protected:
    void SetUp() override {
        if (bytes_read() < 0)
            GTEST_SKIP() << "/proc/self/io does not say what was read";
        text = "a,b,w,c,l\n";
        for (int i = 0; i < rows; ++i)
            text += std::to_string(i % 97) + ".25," + std::to_string(i * 7 % 101) + "," + std::to_string(1 + i % 3) +
                    ".5," + std::to_string(i % 89) + "," + std::to_string(i % 2) + "\n";
    }
    std::string gzipped(const std::string& name, const std::string& bytes) const {
        const gzFile file = gzopen(folder.path(name).c_str(), "wb1");
        EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
        gzclose(file);
        return folder.path(name);
    }
    /// The same numbers in every format that is parsed or decompressed.
    std::vector<std::string> files() const {
        const data_source table = data_source::file(folder.write("t.csv", text));
        const numbers all = all_numbers(table, rows);
        std::vector<std::string> paths{folder.path("t.csv"), gzipped("t.csv.gz", text)};
        for (const char* name : {"t.npy", "t.h5"}) {
            try {
                io::matrix_writer writer =
                    io::matrix_writer::open(folder.path(name), rows, table.cols(), io::output_type::float64);
                writer.append(io::dense_view(all.data(), element_type::float64, rows, table.cols()));
                writer.close();
            } catch (const not_available&) {
                continue; // a build without HDF5
            }
            paths.push_back(folder.path(name));
        }
        paths[2] = gzipped("t.npy.gz", read_bytes(paths[2]));
        return paths;
    }

    static constexpr int rows = 100'000;
    temporary_folder folder;
    std::string text;
};

TEST_F(IoOnePass, WhatFitsIsReadOnce) {
    for (const std::string& path : files()) {
        const double share = share_read(path, [&] {
            const data_source data = data_source::file(path);
            EXPECT_GT(data.kept_bytes(), 0) << path;
            ASSERT_TRUE(data.contiguous()) << path;
            for (int pass = 0; pass < 3; ++pass)
                all_numbers(data, 1000);
        });
        EXPECT_LE(share, 1.1) << path;
    }
}

TEST_F(IoOnePass, DataWeightsAndLabelsComeFromItTogether) {
    for (const std::string& path : files()) {
        std::vector<numbers> got;
        const double share = share_read(path, [&] {
            for (const data_source& group : io::open_file(path, {})->take({{}, {{"2"}}, {{"4"}}}))
                got.push_back(all_numbers(group, 999));
        });
        EXPECT_LE(share, 1.1) << path;
        EXPECT_EQ(got[0], all_numbers(data_source::file(path, {.columns = {"0", "1", "3"}}))) << path;
        EXPECT_EQ(got[1], all_numbers(data_source::file(path, {.columns = {"2"}}))) << path;
        EXPECT_EQ(got[2], all_numbers(data_source::file(path, {.columns = {"4"}}))) << path;
    }
}

TEST_F(IoOnePass, AFitReadsNoMore) {
    const std::string path = folder.write("t.csv", text);
    std::vector<numbers> means;
    for (const std::optional<std::int64_t> keep : {std::optional<std::int64_t>(), std::optional<std::int64_t>(0)}) {
        const double share = share_read(path, [&] {
            const std::vector<data_source> taken = io::open_file(path, {.keep = keep})->take({{}, {{"w"}}, {{"l"}}});
            gmm::fit_options options;
            options.components = 2;
            options.max_iterations = 3;
            options.weights = all_numbers(taken[1], rows);
            const gmm::memory_plan plan = plan_memory(context::cpu(), taken[0], options);
            EXPECT_EQ(plan.data, taken[0].kept_bytes());
            means.push_back(fit(context::cpu(), taken[0], options).model.means());
        });
        if (keep)
            EXPECT_GT(share, 3) << "the counter sees the passes over a file that is not kept";
        else
            EXPECT_LE(share, 1.1);
    }
    EXPECT_EQ(means[0], means[1]); // to the bit
}

TEST_F(IoOnePass, OfALargerFileTheGroupsAfterTheFirstAreKept) {
    for (const std::string& path : files()) {
        // One of 64 KiB is given up in the middle of the pass.
        for (const std::int64_t keep : {std::int64_t{0}, std::int64_t{1} << 16}) {
            const auto file = io::open_file(path, {.keep = keep});
            const auto groups = file->take({{{"3", "0", "2"}, 0.5}, {{"2"}}, {{"4"}}});
            EXPECT_EQ(groups[0].rows(), rows);
            EXPECT_FALSE(groups[0].contiguous()) << path;
            EXPECT_EQ(groups[0].kept_bytes(), 0) << path;
            for (int pass = 0; pass < 2; ++pass)
                EXPECT_EQ(all_numbers(groups[0]),
                          all_numbers(data_source::file(path, {.columns = {"3", "0", "2"}, .scale = 0.5})))
                    << path;
            EXPECT_EQ(all_numbers(groups[1]), all_numbers(data_source::file(path, {.columns = {"2"}}))) << path;
            if (path.find(".csv") != std::string::npos) {
                EXPECT_LE(share_read(path, [&] { all_numbers(groups[2], rows); }), 0.1) << path;
            }
        }
    }
}

TEST_F(IoOnePass, AGroupWithoutNamesHasTheColumnsThatNoOtherHas) {
    const std::string path = folder.write("k.csv", "name,a,w,b\nx,1,2,3\ny,4,5,6\n");
    const auto file = io::open_file(path, {});
    EXPECT_EQ(file->keys(), (std::vector<std::string>{"a", "w", "b"}));
    const auto groups = file->take({{}, {{"w"}}});
    EXPECT_EQ(groups[0].column_names(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(all_numbers(groups[0]), (numbers{1, 3, 4, 6}));
    EXPECT_EQ(all_numbers(groups[1]), (numbers{2, 5}));
    ASSERT_EQ(groups[0].left_out().size(), 1u);
    const auto text_first = io::open_file(folder.write("n.csv", "x,1,2\ny,4,5\n"), {});
    EXPECT_EQ(text_first->keys(), (std::vector<std::string>{"1", "2"})); // numbers in the file
    EXPECT_EQ(all_numbers(text_first->take({{}, {{"1"}}})[0]), (numbers{2, 5}));
    expect_error<invalid_argument>([&] { file->take({{}, {{"a", "w", "b"}}}); }, {"k.csv has no other column"});
    expect_error<invalid_argument>([&] { io::open_file(path, {.keep = -1}); }, {"keep = -1"});
}

TEST_F(IoOnePass, OptionsThatSayNothingAboutAFileAreRefused) {
    const std::string array = folder.path("x.npy");
    io::matrix_writer writer = io::matrix_writer::open(array, 2, 1, io::output_type::float64);
    const numbers values{1, std::numeric_limits<double>::quiet_NaN()};
    writer.append(io::dense_view(values.data(), element_type::float64, 2, 1));
    writer.close();
    const auto refuses = [&](const file_options& options, std::string_view option) {
        expect_error<invalid_argument>([&] { data_source::file(array, options); },
                                       {option, "x.npy is no table of text"});
    };
    refuses({.header = header_row::yes}, "header");
    refuses({.delimiter = ';'}, "delimiter");
    refuses({.decimal_comma = true}, "decimal_comma");
    expect_error<invalid_argument>([&] { data_source::file("x.h5:/a", {.dataset = "/b"}); },
                                   {"dataset = '/b'", "x.h5:/a names another one"});
    expect_error<file_error>([&] { data_source::file(array, {.missing = {"nan"}}); },
                             {"row 1, column 0: nan stands for a missing value"});
    EXPECT_EQ(data_source::file(array, {.missing = {"NA", "7"}}).rows(), 2);
}

} // namespace
} // namespace elbo::test
