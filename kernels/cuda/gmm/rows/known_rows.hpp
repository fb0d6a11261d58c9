// Memory for what is known of the components of the resident rows.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/gmm/device_views.hpp"

namespace elbo::kernels::cuda {

/// Labels [slots] or log-factors [slots x K] in device memory, and a buffer through which those of the host pass; or
/// nothing.
template <class T>
class known_rows {
public:
    known_rows() = default;
    known_rows(const state_pointer& state, sample_labels::kind kind, std::int64_t slots, std::int64_t components);
    static std::int64_t bytes(sample_labels::kind kind, std::int64_t slots, std::int64_t components);

    bool empty() const { return !labels_.data() && !log_factors_.data(); }
    /// Those of the rows into the slots from `slot` on; unknown where the input has none. Waits until they are read.
    void load(const input_rows& in, std::int64_t slot);
    /// Adds those of the slots from `first` on to a view of the rows.
    void show(std::int64_t first, device_rows<T>& rows) const;

private:
    static std::int64_t piece_rows(sample_labels::kind kind, std::int64_t slots, std::int64_t components);
    void clear(std::int64_t slot, std::int64_t rows);
    void convert(const any_matrix_view& piece, std::int64_t slot);

    state_pointer state_;
    std::int64_t components_ = 0, piece_rows_ = 0;
    device_buffer<std::int32_t> labels_;
    device_buffer<T> log_factors_;
    device_buffer<unsigned char> staging_;
};

} // namespace elbo::kernels::cuda
