#include "kernels/cuda/core/launch.cuh"
#include "kernels/cuda/gmm/rows/known_rows.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

namespace {

inline constexpr int convert_threads = 256;

template <class X>
__global__ void __launch_bounds__(convert_threads) convert_labels(const matrix_view<const X> in, std::int32_t* labels) {
    const std::int64_t row = blockIdx.x * std::int64_t(convert_threads) + threadIdx.x;
    if (row < in.rows)
        labels[row] = static_cast<std::int32_t>(in.data[row * in.stride]);
}

template <class X, class T>
__global__ void __launch_bounds__(convert_threads) convert_factors(const matrix_view<const X> in, T* log_factors) {
    const std::int64_t i = blockIdx.x * std::int64_t(convert_threads) + threadIdx.x;
    if (i < in.rows * in.cols)
        log_factors[i] = static_cast<T>(::log2(static_cast<double>(in.data[i / in.cols * in.stride + i % in.cols])));
}

template <class X, class T>
void start_convert(const internal::cuda_state& state, const matrix_view<const X>& in, std::int32_t* labels,
                   T* log_factors) {
    const launch_shape grid{blocks_for(in.rows * in.cols, convert_threads), convert_threads};
    if (labels)
        launch(state, "convert_labels", grid, convert_labels<X>, in, labels);
    else
        launch(state, "convert_factors", grid, convert_factors<X, T>, in, log_factors);
}

} // namespace

template <class T>
std::int64_t known_rows<T>::piece_rows(sample_labels::kind kind, std::int64_t slots, std::int64_t components) {
    constexpr std::int64_t numbers = std::int64_t(1) << 20;
    return std::min(slots, std::max<std::int64_t>(1, numbers / label_columns(kind, components)));
}

template <class T>
std::int64_t known_rows<T>::bytes(sample_labels::kind kind, std::int64_t slots, std::int64_t components) {
    if (kind == sample_labels::kind::none)
        return 0;
    const std::int64_t columns = label_columns(kind, components);
    const std::int64_t element = kind == sample_labels::kind::factors ? sizeof(T) : sizeof(std::int32_t);
    return element * slots * columns + 8 * piece_rows(kind, slots, components) * columns;
}

template <class T>
known_rows<T>::known_rows(const state_pointer& state, sample_labels::kind kind, std::int64_t slots,
                          std::int64_t components)
    : state_(state), components_(components) {
    if (kind == sample_labels::kind::none)
        return;
    piece_rows_ = piece_rows(kind, slots, components);
    if (kind == sample_labels::kind::labels)
        labels_ = device_buffer<std::int32_t>(state, "labels", slots);
    else
        log_factors_ = device_buffer<T>(state, "factors on the weights", slots * components);
    staging_ =
        device_buffer<unsigned char>(state, "the staging of labels", 8 * piece_rows_ * label_columns(kind, components));
}

template <class T>
void known_rows<T>::show(std::int64_t first, device_rows<T>& rows) const {
    rows.labels = labels_.data() ? labels_.data() + first : nullptr;
    rows.log_factors = log_factors_.data() ? log_factors_.data() + first * components_ : nullptr;
}

template <class T>
void known_rows<T>::clear(std::int64_t slot, std::int64_t rows) {
    const auto count = static_cast<std::size_t>(rows);
    if (labels_.data()) // all bits set: −1
        check(cudaMemsetAsync(labels_.data() + slot, 0xff, count * sizeof(std::int32_t), state_->stream),
              "cudaMemsetAsync");
    else
        check(cudaMemsetAsync(log_factors_.data() + slot * components_, 0,
                              count * static_cast<std::size_t>(components_) * sizeof(T), state_->stream),
              "cudaMemsetAsync");
}

template <class T>
void known_rows<T>::convert(const any_matrix_view& piece, std::int64_t slot) {
    std::int32_t* labels = labels_.data() ? labels_.data() + slot : nullptr;
    T* log_factors = log_factors_.data() ? log_factors_.data() + slot * components_ : nullptr;
    if (piece.type == element_type::float32)
        start_convert(*state_, piece.as<float>(), labels, log_factors);
    else
        start_convert(*state_, piece.as<double>(), labels, log_factors);
}

template <class T>
void known_rows<T>::load(const input_rows& in, std::int64_t slot) {
    if (empty())
        return;
    if (in.label_kind == sample_labels::kind::none)
        return clear(slot, in.x.rows);
    for (std::int64_t first = 0; first < in.x.rows; first += piece_rows_) {
        any_matrix_view piece = in.labels.slice(first, std::min(piece_rows_, in.x.rows - first));
        if (piece.space != memory_space::device) {
            const auto size = static_cast<std::size_t>(piece.element_size());
            const auto width = static_cast<std::size_t>(piece.cols) * size;
            check(cudaMemcpy2DAsync(staging_.data(), width, piece.data, static_cast<std::size_t>(piece.stride) * size,
                                    width, static_cast<std::size_t>(piece.rows), cudaMemcpyHostToDevice,
                                    state_->stream),
                  "cudaMemcpy2DAsync");
            piece.data = staging_.data();
            piece.stride = piece.cols;
        }
        convert(piece, slot + first);
    }
    internal::wait_for(*state_); // the caller may change or free its labels from here on
}

template class known_rows<float>;
template class known_rows<double>;

} // namespace elbo::kernels::cuda
