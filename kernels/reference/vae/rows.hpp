// The data of the reference engine: rows given or resident, always float64.
#pragma once

#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/vae_random.hpp"

#include <vector>

namespace elbo::kernels::reference {

/// Draws each x_j of a row once, with the value as probability.
void binarize_row(std::vector<double>& x, const noise_key& key, std::uint64_t row);

/// Resident data sets.
class resident_rows {
public:
    void reserve(std::int64_t dimensions, const std::vector<std::int64_t>& slots);
    void store(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x);
    /// Row i of `rows`, resident or given.
    std::vector<double> row(const vae_rows& rows, std::int64_t i) const;

private:
    std::int64_t d_ = 0;
    std::vector<std::vector<double>> data_;
};

} // namespace elbo::kernels::reference
