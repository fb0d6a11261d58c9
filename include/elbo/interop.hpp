// Together with CUDA code of your own: a context on your stream, your device memory as a matrix. Nothing is copied. The
// only header that names CUDA types.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"
#include "elbo/fit.hpp"
#include "elbo/gmm/labels.hpp"
#include "elbo/matrix_view.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace elbo {

/// A context whose work is enqueued on the caller's stream (0 is the default stream) of CUDA device `ordinal`. The
/// stream must outlive the context and everything made with it; the caller destroys it. Throws not_available as
/// context::cuda does.
context context_on_stream(cudaStream_t stream, int ordinal = 0);

/// The stream of a CUDA context, for kernels and copies of your own between its operations.
/// Throws invalid_argument for other contexts.
cudaStream_t stream_of(const context& ctx);

/// Device memory of the caller's as a matrix: [rows x cols], row-major, row i at data + i * stride.
template <class T>
matrix_view<T> device_matrix(T* data, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
    return {data, rows, cols, stride, memory_space::device};
}
template <class T>
matrix_view<T> device_matrix(T* data, std::int64_t rows, std::int64_t cols) {
    return device_matrix(data, rows, cols, cols);
}

/// A matrix in device memory, or chunks of one, as data that work on `stream`, of any context or of the caller's own,
/// still writes: every pass over it comes after all that was enqueued there before, and chunks are gathered on that
/// stream. It must outlive the source and its copies. Data made from a view alone must be complete, or be written on
/// the default stream, when a pass over chunks begins. Throws invalid_argument: host memory, no matrix.
data_source source_on_stream(std::vector<any_matrix_view> parts, cudaStream_t stream);
/// The same for weights and labels in device memory: they are read after all that was enqueued on `stream` before the
/// call that they are given to. Throw invalid_argument: host memory.
sample_weights weights_on_stream(any_matrix_view column, cudaStream_t stream);
gmm::sample_labels labels_on_stream(gmm::sample_labels labels, cudaStream_t stream);

} // namespace elbo
