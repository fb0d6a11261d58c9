#include "kernels/shared/vae_rows.hpp"

#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_storage.hpp"
#include "kernels/shared/memory.hpp"

#include <cmath>

namespace elbo::kernels {

namespace {

using fault = row_report::fault;

bool is_bit(double value) {
    return value == 0 || value == 1;
}

/// Notes a fault of row `row`, unless there is one already.
void note(row_report& report, fault found, std::int64_t row, std::int64_t column, double value) {
    if (report.found == fault::none) {
        report.found = found;
        report.row = row;
        report.column = column;
        report.value = value;
    }
}

void check_block(row_report& report, const std::vector<double>& x, std::int64_t row, std::int64_t first,
                 std::int64_t size) {
    double sum = 0;
    bool bits = true;
    for (std::int64_t j = first; j < first + size; ++j) {
        if (!std::isfinite(x[j]))
            note(report, fault::not_finite, row, j, x[j]);
        sum += x[j];
        bits = bits && is_bit(x[j]);
    }
    if (!bits || sum != 1)
        note(report, fault::not_one_hot, row, first, sum);
}

void check_row(row_report& report, const vae::likelihood& form, const std::vector<double>& x, std::int64_t row) {
    std::int64_t first = 0;
    for (std::int64_t size : form.blocks) {
        check_block(report, x, row, first, size);
        first += size;
    }
    if (first > 0)
        return;
    with_likelihood(form.family, [&](auto family) {
        for (std::int64_t j = 0; j < static_cast<std::int64_t>(x.size()); ++j)
            if (!std::isfinite(x[j]))
                note(report, fault::not_finite, row, j, x[j]);
            else if (!family.allows(x[j]))
                note(report, fault::not_allowed, row, j, x[j]);
    });
}

} // namespace

std::vector<double> matrix_row(const any_matrix_view& v, std::int64_t i) {
    std::vector<double> x(v.cols);
    for (std::int64_t j = 0; j < v.cols; ++j)
        x[j] = io::element(v, i, j);
    return x;
}

row_report inspect_rows(const vae::likelihood& form, const any_matrix_view& x) {
    row_report report;
    report.column_sums.assign(x.cols, 0);
    for (std::int64_t i = 0; i < x.rows; ++i) {
        const std::vector<double> row = matrix_row(x, i);
        check_row(report, form, row, i);
        if (report.found != fault::none)
            return report;
        for (std::int64_t j = 0; j < x.cols; ++j) {
            report.column_sums[j] += row[j];
            report.all_bits = report.all_bits && is_bit(row[j]);
            report.all_bytes = report.all_bytes && byte_of(static_cast<float>(row[j])) >= 0;
        }
    }
    return report;
}

} // namespace elbo::kernels
