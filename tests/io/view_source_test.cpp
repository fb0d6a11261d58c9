// Matrices, chunks and generators as sources: batches of any size from pieces of any size.
#include "elbo/error.hpp"
#include "tests/support/io_files.hpp"

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

namespace elbo::test {
namespace {

// Rows of 3 numbers, counted through, as chunks of the given sizes that lie in separate memory with a stride of 5.
struct chunked {
    explicit chunked(const std::vector<std::int64_t>& sizes) {
        double next = 0;
        for (const std::int64_t rows : sizes) {
            memory.emplace_back(static_cast<std::size_t>(rows * 5 + 1), -1.0); // + 1: not null for no rows
            for (std::int64_t i = 0; i < rows; ++i)
                for (std::int64_t j = 0; j < 3; ++j)
                    memory.back()[static_cast<std::size_t>(i * 5 + j)] = next++;
            total += rows;
        }
        for (std::size_t c = 0; c < sizes.size(); ++c)
            parts.emplace_back(matrix_view<const double>(memory[c].data(), sizes[c], 3, 5, memory_space::host));
    }
    std::vector<std::vector<double>> memory;
    std::vector<any_matrix_view> parts;
    std::int64_t total = 0;
};

std::vector<double> counted(std::int64_t numbers) {
    std::vector<double> expected(static_cast<std::size_t>(numbers));
    std::iota(expected.begin(), expected.end(), 0.0);
    return expected;
}

TEST(IoViewSource, ChunksOfOddSizesGiveBatchesOfAnySize) {
    const std::vector<std::vector<std::int64_t>> chunkings = {
        {17}, {1, 16}, {16, 1}, {5, 7, 5}, {0, 3, 0, 0, 13, 1, 0}, {1, 1, 1, 1, 1, 1, 1, 10}};
    for (const auto& sizes : chunkings) {
        const chunked data(sizes);
        const data_source source = data_source::chunks(data.parts);
        EXPECT_EQ(source.rows(), 17);
        EXPECT_EQ(source.cols(), 3);
        for (const std::int64_t batch : {1, 2, 3, 5, 7, 16, 17, 18, 1000})
            EXPECT_EQ(all_numbers(source, batch), counted(17 * 3)) << sizes.size() << " chunks, batch " << batch;
    }
}

TEST(IoViewSource, ABatchWithinOneChunkIsNotCopied) {
    const chunked data({4, 8});
    const auto reader = data_source::chunks(data.parts).read(4);
    EXPECT_EQ(reader->next().data, data.memory[0].data());
    EXPECT_EQ(reader->next().data, data.memory[1].data());
    const any_matrix_view last = reader->next();
    EXPECT_EQ(last.data, data.memory[1].data() + 4 * 5);
    EXPECT_EQ(last.stride, 5);
}

TEST(IoViewSource, AViewIsContiguousAndChunksAreNot) {
    const chunked data({2, 3});
    EXPECT_EQ(data_source(data.parts[0]).contiguous()->data, data.memory[0].data());
    EXPECT_FALSE(data_source::chunks(data.parts).contiguous());
    EXPECT_EQ(data_source(data.parts[0]).description(), "matrix 2 x 3 (host, float64)");
}

TEST(IoViewSource, ReadersOutliveTheSourceAndDoNotDisturbOneAnother) {
    const chunked data({2, 3});
    auto first = data_source::chunks(data.parts).read(5);
    auto second = data_source::chunks(data.parts).read(5);
    const any_matrix_view a = first->next();
    const any_matrix_view b = second->next();
    EXPECT_NE(a.data, b.data);
    EXPECT_EQ(a.as<double>()(4, 2), 14);
    EXPECT_EQ(b.as<double>()(4, 2), 14);
}

TEST(IoViewSource, NoRowsAndNoChunks) {
    EXPECT_EQ(data_source(matrix_view<const float>(nullptr, 0, 3)).read(4)->next().rows, 0);
    EXPECT_EQ(data_source::chunks({}).rows(), 0);
    EXPECT_EQ(data_source::chunks({}).read(1)->next().rows, 0);
}

TEST(IoViewSource, DeviceChunksArePassedOnWhereTheyLie) {
    // Addresses that must never be touched by the host.
    auto* const device = reinterpret_cast<float*>(std::uintptr_t{0x1000});
    const any_matrix_view whole(matrix_view<const float>(device, 6, 2, memory_space::device));
    const data_source source = data_source::chunks({whole.slice(0, 3), whole.slice(3, 3)});
    EXPECT_EQ(source.space(), memory_space::device);
    const auto reader = source.read(3);
    EXPECT_EQ(reader->next().data, device);
    const any_matrix_view second = reader->next();
    EXPECT_EQ(second.data, device + 6);
    EXPECT_EQ(second.space, memory_space::device);
}

TEST(IoViewSource, BadArguments) {
    const float one = 1;
    const auto view = [&](const float* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
        return [=]() { data_source(matrix_view<const float>(data, rows, cols, stride, memory_space::host)); };
    };
    expect_error<invalid_argument>(view(nullptr, 2, 3, 3), {"data is null", "2 x 3"});
    expect_error<invalid_argument>(view(&one, 2, 3, 2), {"stride = 2", "3 columns"});
    expect_error<invalid_argument>(view(&one, -2, 3, 3), {"-2 rows", "at least 0"});
    expect_error<invalid_argument>(view(&one, std::int64_t{1} << 40, 1, std::int64_t{1} << 40), {"address"});
    expect_error<invalid_argument>([&]() { data_source(matrix_view<const float>(&one, 1, 1)).read(0); },
                                   {"rows_per_batch = 0", "at least 1"});
    const double two = 2;
    expect_error<invalid_argument>(
        [&]() {
            data_source::chunks({matrix_view<const float>(&one, 1, 1), matrix_view<const double>(&two, 1, 1)});
        },
        {"chunk 1", "float64", "chunk 0", "float32"});
    expect_error<invalid_argument>([]() { data_source::generator(-1, 2, [](auto, auto, auto) {}); }, {"-1 rows"});
    expect_error<invalid_argument>([]() { data_source::generator(1, 2, nullptr); }, {"fill is empty"});
}

TEST(IoViewSource, AGeneratorIsAskedForEachRowOnceAndInOrder) {
    std::vector<std::int64_t> asked;
    const data_source source = data_source::generator(10, 2, [&](std::int64_t first, std::int64_t rows, float* out) {
        asked.push_back(first);
        for (std::int64_t i = 0; i < rows * 2; ++i)
            out[i] = static_cast<float>(first * 2 + i);
    });
    EXPECT_EQ(all_numbers(source, 4), counted(20));
    EXPECT_EQ(asked, (std::vector<std::int64_t>{0, 4, 8}));
    EXPECT_EQ(all_numbers(source, 100), counted(20));
}

TEST(IoViewSource, AGeneratorIsNeverCalledByTwoThreadsAtATime) {
    std::atomic<int> inside = 0;
    std::atomic<bool> together = false;
    const data_source source = data_source::generator(4, 1, [&](std::int64_t first, std::int64_t rows, float* out) {
        if (++inside > 1)
            together = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5)); // time for another thread to come in
        for (std::int64_t i = 0; i < rows; ++i)
            out[i] = static_cast<float>(first + i);
        --inside;
    });
    {
        const auto read = [&] { EXPECT_EQ(all_numbers(source, 1), counted(4)); };
        const std::jthread one(read), two(read);
    }
    EXPECT_FALSE(together);
}

} // namespace
} // namespace elbo::test
