// Rows through a regression_map: read in batches, shared among threads in tiles.
#include "elbo/gmm/regress.hpp"

#include "host/check.hpp"
#include "host/gmm/infer/regression_map.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::gmm {

namespace {

/// The rows of a batch in float64 [rows x cols]. Throws invalid_argument for a value that is not finite.
template <class T>
void take_rows(const matrix_view<const T>& rows, const data_source& data, std::int64_t first_row,
               std::vector<double>& x) {
    x.resize(rows.rows * rows.cols);
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < rows.cols; ++j) {
            const double value = x[i * rows.cols + j] = rows(i, j);
            expects(std::isfinite(value), [&] {
                return fmt::format("{}: row {}, column {} is {}: expected finite numbers", data.description(),
                                   first_row + i, column_label(data, j), value);
            });
        }
}

/// Room for the results of some rows.
regression room_for(const regression_map& map, const regress_options& options, std::int64_t rows) {
    const std::int64_t a = map.rest();
    regression r{std::vector<double>(rows * a), std::vector<double>(rows * a), {}, std::vector<double>(rows), {}};
    r.covariances.resize(options.covariances ? rows * a * a : 0);
    r.responsibilities.resize(options.responsibilities ? rows * map.components() : 0);
    return r;
}

/// From number `first` on; null where there are none.
double* from(std::vector<double>& numbers, std::int64_t first) {
    return numbers.empty() ? nullptr : &numbers[first];
}

/// Rows of a batch such that it has a few million numbers.
std::int64_t batch_rows(const regression_map& map, const regress_options& options) {
    constexpr std::int64_t numbers = std::int64_t(1) << 21;
    const std::int64_t a = map.rest();
    const std::int64_t width =
        map.known() + 2 * a + (options.covariances ? a * a : 0) + (options.responsibilities ? map.components() : 0);
    return std::clamp<std::int64_t>(numbers / width, regression_map::lanes, 65536);
}

/// Returns the first row whose moments are not finite, or a number above all.
std::int64_t apply_to_rows(const regression_map& map, const std::vector<double>& x, std::int64_t rows, int threads,
                           regression& out) {
    constexpr std::int64_t lanes = regression_map::lanes, part_rows = 16 * lanes;
    const std::int64_t a = map.rest();
    const auto at = [&](std::int64_t row) {
        return regression_map::output{from(out.means, row * a), from(out.variances, row * a),
                                      from(out.covariances, row * a * a), from(out.log_density, row),
                                      from(out.responsibilities, row * map.components())};
    };
    const std::int64_t parts = (rows + part_rows - 1) / part_rows;
    std::vector<regression_map::scratch> scratch(static_cast<std::size_t>(std::min<std::int64_t>(threads, parts)),
                                                 map.make_scratch());
    std::vector<std::int64_t> first_bad(static_cast<std::size_t>(parts), rows);
    kernels::parallel_for(threads, parts, [&](std::int64_t part, int member) {
        const std::int64_t end = std::min((part + 1) * part_rows, rows);
        for (std::int64_t first = part * part_rows; first < end; first += lanes) {
            const std::int64_t bad =
                map.apply(&x[first * map.known()], std::min(lanes, rows - first), scratch[member], at(first));
            first_bad[part] = std::min(first_bad[part], bad < 0 ? rows : first + bad);
        }
    });
    return parts == 0 ? rows : *std::ranges::min_element(first_bad);
}

} // namespace

void regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns, const data_source& known,
             const std::function<void(const regression_batch&)>& sink, const regress_options& options) {
    const regression_map map(m, columns, options);
    expects(known.cols() == map.known(), [&] {
        return fmt::format("{} has {} columns: expected {}, the number of known columns", known.description(),
                           known.cols(), map.known());
    });
    const context host = on_host(ctx);
    regression results = room_for(map, options, std::min(known.rows(), batch_rows(map, options)));
    std::vector<char> staging;
    std::vector<double> x;
    std::int64_t first_row = 0;
    const auto reader = known.read(batch_rows(map, options));
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        const any_matrix_view rows = readable(host, batch, staging);
        if (rows.type == element_type::float32)
            take_rows(rows.as<float>(), known, first_row, x);
        else
            take_rows(rows.as<double>(), known, first_row, x);
        const std::int64_t bad = apply_to_rows(map, x, rows.rows, host.threads(), results);
        expects(bad == rows.rows, [&] {
            return fmt::format("{}: row {} (the first number is {}): expected values near enough to the means for the "
                               "conditional means and variances to be finite",
                               known.description(), first_row + bad, x[bad * map.known()]);
        });
        sink({first_row, rows.rows, from(results.means, 0), from(results.variances, 0), from(results.covariances, 0),
              from(results.log_density, 0), from(results.responsibilities, 0)});
        first_row += rows.rows;
    }
}

regression regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns,
                   const data_source& known, const regress_options& options) {
    regression all;
    const std::int64_t a = m.dimensions() - std::ssize(columns), k = m.components();
    const auto append = [](std::vector<double>& to, const double* from, std::int64_t count) {
        if (from)
            to.insert(to.end(), from, from + count);
    };
    const auto keep = [&](const regression_batch& batch) {
        append(all.means, batch.means, batch.rows * a);
        append(all.variances, batch.variances, batch.rows * a);
        append(all.covariances, batch.covariances, batch.rows * a * a);
        append(all.log_density, batch.log_density, batch.rows);
        append(all.responsibilities, batch.responsibilities, batch.rows * k);
    };
    regress(ctx, m, columns, known, keep, options);
    return all;
}

} // namespace elbo::gmm
