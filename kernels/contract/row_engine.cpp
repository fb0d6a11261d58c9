#include "kernels/contract/row_engine.hpp"

#include "kernels/math/weightless.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>

namespace elbo::kernels {

namespace {

template <class T>
void normalize(const matrix_view<const T>& rows, const frame& f, double* x) {
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < rows.cols; ++j)
            x[i * rows.cols + j] = (static_cast<double>(rows(i, j)) - f.centre[j]) / f.scale[j];
}

} // namespace

void normalize_host_rows(const input_rows& in, const frame& f, double* x, double* weights) {
    if (in.x.type == element_type::float32)
        normalize(in.x.as<float>(), f, x);
    else
        normalize(in.x.as<double>(), f, x);
    for (std::int64_t i = 0; weights && i < in.x.rows; ++i) {
        weights[i] = in.weights.data ? io::element(in.weights, i, 0) * in.weight_scale : 1;
        if (weights[i] == 0)
            std::transform(x + i * in.x.cols, x + (i + 1) * in.x.cols, x + i * in.x.cols, weightless);
    }
}

} // namespace elbo::kernels
