#include "host/report/page/pages.hpp"

#include "host/rows/row_access.hpp"
#include "kernels/shared/memory.hpp"

namespace elbo::report {
namespace {

constexpr std::int64_t batch_rows = 1 << 16;

/// Row i of `count` among n, without overflow.
std::int64_t spaced_row(std::int64_t i, std::int64_t n, std::int64_t count) {
    return i * (n / count) + i * (n % count) / count;
}

} // namespace

std::vector<double> gather_rows(const data_source& data, std::int64_t count,
                                const std::function<std::int64_t(std::int64_t)>& r,
                                const std::function<void()>& between) {
    const auto reader = data.read(batch_rows);
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(count * data.cols()));
    std::vector<char> staging;
    std::int64_t next = 0, first = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0 && next < count; batch = reader->next()) {
        if (between)
            between();
        const any_matrix_view rows = on_host(batch, staging);
        for (; next < count && r(next) < first + rows.rows; ++next)
            for (std::int64_t j = 0; j < rows.cols; ++j)
                values.push_back(io::element(rows, r(next) - first, j));
        first += rows.rows;
    }
    return values;
}

std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit,
                                       const std::function<void()>& between) {
    const std::int64_t n = data.rows(), count = std::min(n, limit);
    return gather_rows(
        data, count, [&](std::int64_t i) { return spaced_row(i, n, count); }, between);
}

std::vector<double> evenly_spaced(const std::vector<double>& values, std::int64_t limit) {
    const std::int64_t n = std::ssize(values), count = std::min(n, limit);
    std::vector<double> chosen;
    for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(values[spaced_row(i, n, count)]);
    return chosen;
}

} // namespace elbo::report
