// What the tests of readers and writers share: files that go away, whole sources as numbers, messages of errors.
#pragma once

#include "elbo/data_source.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace elbo::test {

/// A folder of its own for one test, removed at the end.
class temporary_folder {
public:
    temporary_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "elbo-io-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("cannot make a temporary folder");
        path_ = name;
    }
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    std::string path(const std::string& name) const { return (path_ / name).string(); }
    std::string write(const std::string& name, std::string_view bytes) const {
        std::ofstream(path(name), std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return path(name);
    }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
    }

private:
    std::filesystem::path path_;
};

inline std::string read_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string test_data(const std::string& name) {
    return std::string(ELBO_TEST_DATA) + "/" + name;
}

/// x[i, j] = 10 i + j, as data/interop/make.py makes them.
inline std::vector<double> table(int rows, int cols) {
    std::vector<double> x;
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j)
            x.push_back(10 * i + j);
    return x;
}

/// All numbers of a source, row by row, read in batches of `rows_per_batch`; checks the sizes of the batches.
inline std::vector<double> all_numbers(const data_source& source, std::int64_t rows_per_batch = 3) {
    std::vector<double> numbers;
    const auto reader = source.read(rows_per_batch);
    std::int64_t done = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        EXPECT_EQ(batch.rows, std::min(rows_per_batch, source.rows() - done));
        EXPECT_EQ(batch.cols, source.cols());
        EXPECT_EQ(batch.type, source.type());
        for (std::int64_t i = 0; i < batch.rows; ++i)
            for (std::int64_t j = 0; j < batch.cols; ++j)
                numbers.push_back(batch.type == element_type::float32 ? static_cast<double>(batch.as<float>()(i, j))
                                                                      : batch.as<double>()(i, j));
        done += batch.rows;
    }
    EXPECT_EQ(done, source.rows());
    EXPECT_EQ(reader->next().rows, 0) << "after the end comes the end";
    return numbers;
}

/// Runs `action`, which must throw an Error (exactly this class) whose message has all of `parts`.
template <class Error, class Action>
void expect_error(Action action, std::initializer_list<std::string_view> parts) {
    try {
        action();
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& e) {
        EXPECT_EQ(typeid(e), typeid(Error)) << e.what();
        for (const std::string_view part : parts)
            EXPECT_NE(std::string_view(e.what()).find(part), std::string_view::npos)
                << "expected '" << part << "' in: " << e.what();
    } catch (const std::exception& e) {
        ADD_FAILURE() << "another exception: " << e.what();
    }
}

} // namespace elbo::test
