#include "kernels/cuda/gmm/rows/staging.hpp"

#include "kernels/shared/threads/parallel.hpp"
#include "kernels/shared/threads/processors.hpp"

#include <algorithm>
#include <cstring>

namespace elbo::kernels::cuda {

namespace {

constexpr std::int64_t piece_bytes = std::int64_t(8) << 20;
constexpr std::int64_t most_units = 128; ///< of a piece: bounds the memory for its weights

std::int64_t row_bytes_of_piece(std::int64_t columns) {
    return std::max(piece_bytes, unit_rows * columns * 8);
}

/// Rows that fit where a piece has its place.
std::int64_t rows_in_piece(std::int64_t columns, std::int64_t element_size, std::int64_t capacity) {
    return unit_rows * std::clamp<std::int64_t>(capacity / (unit_rows * columns * element_size), 1, most_units);
}

/// Copies rows to where they lie densely packed; by several threads, since one does not keep up with a device.
void pack_rows(char* to, const any_matrix_view& from) {
    const std::int64_t width = from.cols * from.element_size(), step = from.stride * from.element_size();
    const std::int64_t block = std::max<std::int64_t>(1, (std::int64_t(256) << 10) / width); // rows
    const std::int64_t blocks = (from.rows + block - 1) / block;
    const char* const data = static_cast<const char*>(from.data);
    const int threads = static_cast<int>(std::min<std::int64_t>({blocks, 4, default_threads()}));
    parallel_for(threads, blocks, [&](std::int64_t b, int) {
        const std::int64_t first = b * block, last = std::min(from.rows, first + block);
        if (step == width)
            std::memcpy(to + first * width, data + first * step, static_cast<std::size_t>((last - first) * width));
        else
            for (std::int64_t i = first; i < last; ++i)
                std::memcpy(to + i * width, data + i * step, static_cast<std::size_t>(width));
    });
}

bool on_host(const any_matrix_view& view) {
    return view.data && view.space != memory_space::device;
}

std::int64_t pageable_bytes(const any_matrix_view& view) {
    return view.data && view.space == memory_space::host ? view.rows * view.cols * view.element_size() : 0;
}

} // namespace

std::int64_t staging::piece_rows(std::int64_t columns) {
    return rows_in_piece(columns, 4, row_bytes_of_piece(columns));
}

std::int64_t staging::device_piece_rows(std::int64_t columns) {
    constexpr std::int64_t kept = 1 << 16; // numbers of the summaries of the units
    return std::max(piece_rows(columns), unit_rows * std::clamp<std::int64_t>(kept / summary_size(columns), 1, 2048));
}

std::int64_t staging::bytes(std::int64_t columns) {
    return 2 * (row_bytes_of_piece(columns) + 8 * piece_rows(columns));
}

staging::staging(state_pointer state, std::int64_t columns, std::int64_t unpinned)
    : state_(state), unpinned_left_(unpinned) {
    state->activate();
    copies_ = make_stream();
    for (slot& s : slots_) {
        s.rows = {state, "the staging of rows", row_bytes_of_piece(columns)};
        s.weights = {state, "the staging of weights", 8 * piece_rows(columns)};
        s.copied = make_event();
        s.used = make_event();
        // The memory is there in the order of the state's stream: the first copy waits for it.
        check(cudaEventRecord(s.used.get(), state->stream), "cudaEventRecord");
    }
}

staging::~staging() {
    // After an exception a copy may be under way that no work waits for.
    if (copies_.get())
        report(cudaStreamSynchronize(copies_.get()), "cudaStreamSynchronize");
}

void staging::use_pinned_buffers() {
    for (slot& s : slots_) {
        s.pinned_rows = {*state_, "the staging of rows", s.rows.size()};
        s.pinned_weights = {*state_, "the staging of weights", s.weights.size()};
    }
}

void staging::wait_for_copy(const slot& s) const {
    check(cudaEventSynchronize(s.copied.get()), "cudaEventSynchronize");
}

any_matrix_view staging::copy_to_device(const any_matrix_view& from, void* space, void* pinned) {
    if (!on_host(from))
        return from;
    any_matrix_view packed = from;
    if (pinned && from.space == memory_space::host) {
        pack_rows(static_cast<char*>(pinned), from);
        packed.data = pinned;
        packed.stride = from.cols;
    }
    const auto size = static_cast<std::size_t>(from.element_size());
    const auto width = static_cast<std::size_t>(from.cols) * size;
    check(cudaMemcpy2DAsync(space, width, packed.data, static_cast<std::size_t>(packed.stride) * size, width,
                            static_cast<std::size_t>(from.rows), cudaMemcpyHostToDevice, copies_.get()),
          "cudaMemcpy2DAsync");
    packed.data = space;
    packed.stride = from.cols;
    packed.space = memory_space::device;
    return packed;
}

void staging::for_each_piece(const input_rows& in, const std::function<void(const device_input&, std::int64_t)>& use) {
    const bool staged = on_host(in.x) || on_host(in.weights);
    unpinned_left_ -= pageable_bytes(in.x) + pageable_bytes(in.weights);
    if (unpinned_left_ < 0 && !slots_[0].pinned_rows.data())
        use_pinned_buffers();
    const std::int64_t step = staged ? std::min(rows_in_piece(in.x.cols, in.x.element_size(), slots_[0].rows.size()),
                                                slots_[0].weights.size() / 8)
                                     : device_piece_rows(in.x.cols);
    for (std::int64_t first = 0; first < in.x.rows; first += step) {
        const std::int64_t count = std::min(step, in.x.rows - first);
        device_input piece{in.x.slice(first, count), in.weights, in.weight_scale};
        if (in.weights.data)
            piece.weights = in.weights.slice(first, count);
        if (!staged) {
            use(piece, first);
            continue;
        }
        slot& s = slots_[next_];
        next_ = 1 - next_;
        wait_for_copy(s); // the host is about to write into the pinned buffer
        check(cudaStreamWaitEvent(copies_.get(), s.used.get(), 0), "cudaStreamWaitEvent");
        piece.x = copy_to_device(piece.x, s.rows.data(), s.pinned_rows.data());
        piece.weights = copy_to_device(piece.weights, s.weights.data(), s.pinned_weights.data());
        check(cudaEventRecord(s.copied.get(), copies_.get()), "cudaEventRecord");
        check(cudaStreamWaitEvent(state_->stream, s.copied.get(), 0), "cudaStreamWaitEvent");
        use(piece, first);
        check(cudaEventRecord(s.used.get(), state_->stream), "cudaEventRecord");
    }
    // What lies in pinned buffers of our own has been read already.
    const bool buffered =
        slots_[0].pinned_rows.data() && in.x.space != memory_space::pinned && in.weights.space != memory_space::pinned;
    if (staged && !buffered)
        wait_for_copy(slots_[1 - next_]);
}

} // namespace elbo::kernels::cuda
