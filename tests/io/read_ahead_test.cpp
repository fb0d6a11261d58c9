// A thread that reads the next batch: the same rows in the same order, and what the reader throws.
#include "host/io/sources.hpp"
#include "tests/support/io_files.hpp"

#include <stdexcept>
#include <thread>

namespace elbo::test {
namespace {

/// Rows of one number each, 0, 1, 2, ...; throws instead of making row `faulty`.
data_source counting(std::int64_t rows, std::int64_t faulty = -1) {
    return data_source::generator(rows, 1, [faulty](std::int64_t first, std::int64_t count, float* out) {
        if (first <= faulty && faulty < first + count)
            throw std::runtime_error("row " + std::to_string(faulty));
        for (std::int64_t i = 0; i < count; ++i)
            out[i] = static_cast<float>(first + i);
    });
}

TEST(IoReadAhead, GivesEveryRowOnceAndInOrder) {
    for (std::int64_t batch : {1, 3, 10, 11, 100}) {
        const data_source source = counting(10);
        const auto reader = io::read_ahead(source.read(batch));
        std::int64_t next = 0;
        for (any_matrix_view rows = reader->next(); rows.rows > 0; rows = reader->next()) {
            EXPECT_EQ(rows.rows, std::min(batch, 10 - next));
            std::this_thread::yield(); // the batch must stay while the next one is read
            for (std::int64_t i = 0; i < rows.rows; ++i)
                EXPECT_EQ(rows.as<float>()(i, 0), static_cast<float>(next++));
        }
        EXPECT_EQ(next, 10);
        EXPECT_EQ(reader->next().rows, 0);
    }
}

TEST(IoReadAhead, PacksRowsThatHaveAStride) {
    const std::vector<double> x = {1, 2, 0, 3, 4, 0, 5, 6, 0};
    const auto reader =
        io::read_ahead(data_source(matrix_view<const double>(x.data(), 3, 2, 3, memory_space::host)).read(2));
    const any_matrix_view first = reader->next();
    EXPECT_EQ(first.as<double>()(1, 1), 4);
    EXPECT_EQ(reader->next().as<double>()(0, 1), 6);
}

TEST(IoReadAhead, GivesOrdinaryMemoryAlsoWhereRowsWerePinned) {
    const std::vector<double> x = {1, 2, 3, 4};
    const auto reader =
        io::read_ahead(data_source(matrix_view<const double>(x.data(), 2, 2, 2, memory_space::pinned)).read(1));
    EXPECT_EQ(reader->next().space, memory_space::host); // the buffer of the reader is not page-locked
}

TEST(IoReadAhead, ThrowsWhatTheReaderThrowsWhenItsBatchIsAskedFor) {
    const auto reader = io::read_ahead(counting(10, 5).read(3));
    EXPECT_EQ(reader->next().as<float>()(0, 0), 0);
    EXPECT_THROW(reader->next(), std::runtime_error); // rows 3 to 5
}

TEST(IoReadAhead, MayBeGivenUpAtAnyTime) {
    io::read_ahead(counting(10).read(3));
    io::read_ahead(counting(10, 0).read(3)); // an exception that nobody sees
    const auto reader = io::read_ahead(counting(10).read(3));
    reader->next();
}

} // namespace
} // namespace elbo::test
