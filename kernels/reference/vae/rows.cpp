#include "kernels/reference/vae/rows.hpp"

#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_storage.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::reference {

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

double element(const any_matrix_view& v, std::int64_t i, std::int64_t j) {
    return v.type == element_type::float32 ? v.as<float>()(i, j) : v.as<double>()(i, j);
}

std::vector<double> matrix_row(const any_matrix_view& v, std::int64_t i) {
    std::vector<double> x(v.cols);
    for (std::int64_t j = 0; j < v.cols; ++j)
        x[j] = element(v, i, j);
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

void binarize_row(std::vector<double>& x, const noise_key& key, std::uint64_t row) {
    for (std::size_t j = 0; j < x.size(); ++j) {
        const philox_block words = noise_words(key, row, 0, static_cast<std::uint32_t>(j / 4));
        x[j] = binarized(words.word[j % 4], x[j]) ? 1 : 0;
    }
}

void resident_rows::reserve(std::int64_t dimensions, const std::vector<std::int64_t>& slots) {
    std::vector<std::vector<double>> data;
    for (std::int64_t rows : slots)
        data.emplace_back(rows * dimensions);
    d_ = dimensions;
    data_ = std::move(data);
}

void resident_rows::store(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) {
    for (std::int64_t i = 0; i < x.rows; ++i)
        std::ranges::copy(matrix_row(x, i), data_[dataset].begin() + (slot + i) * d_);
}

std::vector<double> resident_rows::row(const vae_rows& rows, std::int64_t i) const {
    if (rows.x.data)
        return matrix_row(rows.x, i);
    const auto first = data_[rows.dataset].begin() + (rows.slot + i) * d_;
    return {first, first + d_};
}

} // namespace elbo::kernels::reference
