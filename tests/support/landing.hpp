// Where a test lets sessions write: host memory without gaps or with rows far apart, or the memory of a device.
#pragma once

#include "elbo/buffer.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::test {

enum class landing_place { packed, strided, on_device };

/// The places that a context can reach, and their names.
inline std::vector<landing_place> landing_places(const context& ctx) {
    std::vector<landing_place> all{landing_place::packed, landing_place::strided};
    if (ctx.where() == backend::cuda)
        all.push_back(landing_place::on_device);
    return all;
}
inline std::string to_string(landing_place p) {
    return p == landing_place::packed ? "packed" : p == landing_place::strided ? "strided" : "on the device";
}

/// A matrix there. Numbers between its rows stay −7.
template <class T>
class landing {
public:
    landing(const context& ctx, landing_place place, std::int64_t rows, std::int64_t cols)
        : ctx_(ctx), place_(place), rows_(rows), cols_(cols), stride_(place == landing_place::packed ? cols : cols + 3),
          host_(static_cast<std::size_t>(rows * stride_), T(-7)), device_(ctx, rows * stride_) {
        if (place == landing_place::on_device)
            copy<T>(ctx, matrix_view<const T>(host_.data(), rows, stride_), device_);
        ctx.wait();
    }
    landing(const context& ctx, landing_place place, std::int64_t rows, std::int64_t cols, const std::vector<T>& values)
        : landing(ctx, place, rows, cols) {
        copy<T>(ctx, matrix_view<const T>(values.data(), rows, cols), view());
        ctx.wait();
    }

    matrix_view<T> view() {
        const bool on_device = place_ == landing_place::on_device;
        return {on_device ? device_.data() : host_.data(), rows_, cols_, stride_,
                on_device ? memory_space::device : memory_space::host};
    }
    /// The matrix without gaps; empty where something between its rows was written.
    std::vector<T> values() {
        std::vector<T> all(host_.size());
        copy<T>(ctx_, matrix_view<const T>(view().data, rows_, stride_, view().space),
                matrix_view<T>(all.data(), rows_, stride_));
        ctx_.wait();
        std::vector<T> packed;
        for (std::int64_t i = 0; i < rows_ * stride_; ++i)
            if (i % stride_ < cols_)
                packed.push_back(all[i]);
            else if (all[i] != T(-7))
                return {};
        return packed;
    }

private:
    context ctx_;
    landing_place place_;
    std::int64_t rows_, cols_, stride_;
    std::vector<T> host_;
    buffer<T> device_;
};

} // namespace elbo::test
