#include "kernels/reference/vae/rows.hpp"

#include "kernels/math/likelihood/families.hpp"
#include "kernels/shared/vae_rows.hpp"

#include <algorithm>

namespace elbo::kernels::reference {

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
