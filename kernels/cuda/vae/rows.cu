#include "kernels/cuda/vae/rows.hpp"

#include "kernels/cuda/core/launch.cuh"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_storage.hpp"

namespace elbo::kernels::cuda {

namespace {

inline constexpr int rows_threads = 256;

/// Whether the likelihood allows the entries first ... last − 1 of a row: a number, or a block.
template <class Family, class X>
__device__ bool allowed(const X* row, std::int64_t first, std::int64_t last) {
    double sum = 0;
    for (std::int64_t j = first; j < last; ++j) {
        const double value = static_cast<double>(row[j]);
        if (!::isfinite(value) || !Family::allows(value))
            return false;
        sum += value;
    }
    return !Family::facts.blocks || sum == 1;
}

// A thread an entry, or a block.
template <class Family, class X>
__global__ void __launch_bounds__(rows_threads) survey_entries(const matrix_view<const X> x, std::int64_t first_row,
                                                               const likelihood_view likelihood, row_survey* survey) {
    constexpr bool blocks = Family::facts.blocks;
    const std::int64_t items = blocks ? likelihood.block_count : x.cols;
    unsigned long long fault = ~0ull;
    bool bits = true, bytes = true;
    for (std::int64_t i = blockIdx.x * std::int64_t(rows_threads) + threadIdx.x; i < x.rows * items;
         i += gridDim.x * std::int64_t(rows_threads)) {
        const std::int64_t n = i / items, item = i % items;
        const X* row = x.data + n * x.stride;
        const std::int64_t first = blocks ? likelihood.blocks[item] : item;
        const std::int64_t last = blocks ? likelihood.blocks[item + 1] : item + 1;
        if (fault == ~0ull && !allowed<Family>(row, first, last))
            fault = static_cast<unsigned long long>((first_row + n) * x.cols + first);
        for (std::int64_t j = first; j < last; ++j) {
            bits = bits && (row[j] == 0 || row[j] == 1);
            bytes = bytes && byte_of(static_cast<float>(row[j])) >= 0;
        }
    }
    if (fault != ~0ull)
        atomicMin(&survey->first_fault, fault);
    if (!bits)
        atomicExch(&survey->all_bits, 0u);
    if (!bytes)
        atomicExch(&survey->all_bytes, 0u);
}

// A thread a column: the rows in ascending order.
template <class X>
__global__ void __launch_bounds__(rows_threads) add_columns(const matrix_view<const X> x, double* sums) {
    const std::int64_t j = blockIdx.x * std::int64_t(rows_threads) + threadIdx.x;
    if (j >= x.cols)
        return;
    double sum = sums[j];
#pragma unroll 8
    for (std::int64_t n = 0; n < x.rows; ++n)
        sum += static_cast<double>(x.data[n * x.stride + j]);
    sums[j] = sum;
}

/// Stores what a thread has of a row: 32 values as bits, else four.
template <class X>
__device__ void store_piece(const X* row, std::int64_t cols, const row_source& to, std::int64_t slot,
                            std::int64_t piece) {
    const std::int64_t at = slot * to.stride;
    void* data = const_cast<void*>(to.data);
    const auto value = [&](std::int64_t j) { return j < cols ? static_cast<float>(row[j]) : 0.0f; };
    if (to.form == row_storage::bits) {
        std::uint32_t word = 0;
        for (int b = 0; b < 32; ++b)
            word |= (value(32 * piece + b) != 0 ? 1u : 0u) << b;
        static_cast<std::uint32_t*>(data)[at + piece] = word;
    } else if (to.form == row_storage::bytes) {
        const auto byte = [&](int i) { return static_cast<unsigned char>(byte_of(value(4 * piece + i))); };
        *reinterpret_cast<uchar4*>(static_cast<unsigned char*>(data) + at + 4 * piece) = {byte(0), byte(1), byte(2),
                                                                                          byte(3)};
    } else {
        *reinterpret_cast<float4*>(static_cast<float*>(data) + at + 4 * piece) = {
            value(4 * piece), value(4 * piece + 1), value(4 * piece + 2), value(4 * piece + 3)};
    }
}

template <class X>
__global__ void __launch_bounds__(rows_threads)
    store(const matrix_view<const X> x, const row_source to, std::int64_t slot) {
    const std::int64_t pieces = to.form == row_storage::bits ? to.stride : to.stride / 4;
    for (std::int64_t i = blockIdx.x * std::int64_t(rows_threads) + threadIdx.x; i < x.rows * pieces;
         i += gridDim.x * std::int64_t(rows_threads))
        store_piece(x.data + i / pieces * x.stride, x.cols, to, slot + i / pieces, i % pieces);
}

launch_shape many(const internal::cuda_state& state, std::int64_t items) {
    return {std::min(blocks_for(items, rows_threads), std::int64_t(state.multiprocessors) * 8), rows_threads};
}

template <class X>
void start_survey(const internal::cuda_state& state, const matrix_view<const X>& x, std::int64_t first_row,
                  const likelihood_view& likelihood, row_survey* survey, double* column_sums) {
    with_likelihood(likelihood.family, [&](auto family) {
        launch(state, "survey_entries", many(state, x.rows * x.cols), survey_entries<decltype(family), X>, x, first_row,
               likelihood, survey);
    });
    launch(state, "add_columns", {blocks_for(x.cols, rows_threads), rows_threads}, add_columns<X>, x, column_sums);
}

} // namespace

void survey_rows(const internal::cuda_state& state, const any_matrix_view& x, std::int64_t first_row,
                 const likelihood_view& likelihood, row_survey* survey, double* column_sums) {
    if (x.type == element_type::float32)
        start_survey(state, x.as<float>(), first_row, likelihood, survey, column_sums);
    else
        start_survey(state, x.as<double>(), first_row, likelihood, survey, column_sums);
}

std::int64_t storage_stride(row_storage form, std::int64_t dimensions) {
    return form == row_storage::bits ? blocks_for(dimensions, 32) : padded(dimensions);
}

std::int64_t storage_bytes(row_storage form, std::int64_t dimensions, std::int64_t rows) {
    return rows * storage_stride(form, dimensions) * (form == row_storage::bytes ? 1 : 4);
}

void store_rows(const internal::cuda_state& state, const any_matrix_view& x, const row_source& to, std::int64_t slot) {
    const launch_shape shape = many(state, x.rows * (to.form == row_storage::bits ? to.stride : to.stride / 4));
    if (x.type == element_type::float32)
        launch(state, "store", shape, store<float>, x.as<float>(), to, slot);
    else
        launch(state, "store", shape, store<double>, x.as<double>(), to, slot);
}

} // namespace elbo::kernels::cuda
