#include "kernels/cuda/staging.hpp"

#include <algorithm>

namespace elbo::kernels::cuda {

std::int64_t staging::piece_rows(std::int64_t columns) {
    const std::int64_t unit_bytes = unit_rows * columns * 8;
    return unit_rows * std::clamp<std::int64_t>((std::int64_t(32) << 20) / unit_bytes, 1, 16);
}

std::int64_t staging::bytes(std::int64_t columns) {
    return piece_rows(columns) * (columns + 1) * 8;
}

staging::staging(state_pointer state, std::int64_t columns)
    : state_(state), rows_(state, "the staging of rows", piece_rows(columns) * columns * 8),
      weights_(state, "the staging of weights", piece_rows(columns) * 8) {}

any_matrix_view staging::on_device(const any_matrix_view& from, void* space) const {
    if (!from.data || from.space == memory_space::device)
        return from;
    const auto size = static_cast<std::size_t>(from.element_size());
    const auto width = static_cast<std::size_t>(from.cols) * size;
    check(cudaMemcpy2DAsync(space, width, from.data, static_cast<std::size_t>(from.stride) * size, width,
                            static_cast<std::size_t>(from.rows), cudaMemcpyHostToDevice, state_->stream),
          "cudaMemcpy2DAsync");
    any_matrix_view copy = from;
    copy.data = space;
    copy.stride = from.cols;
    copy.space = memory_space::device;
    return copy;
}

void staging::for_each_piece(const input_rows& in, const std::function<void(const device_input&, std::int64_t)>& use) {
    const std::int64_t step = piece_rows(in.x.cols);
    for (std::int64_t first = 0; first < in.x.rows; first += step) {
        const std::int64_t count = std::min(step, in.x.rows - first);
        device_input piece;
        piece.x = on_device(in.x.slice(first, count), rows_.data());
        piece.weights = in.weights.data ? on_device(in.weights.slice(first, count), weights_.data()) : in.weights;
        piece.weight_scale = in.weight_scale;
        use(piece, first);
    }
}

} // namespace elbo::kernels::cuda
