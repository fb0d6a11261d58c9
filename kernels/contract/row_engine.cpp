#include "kernels/contract/row_engine.hpp"

#include "kernels/math/weightless.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>

namespace elbo::kernels {

void normalize_host_rows(const input_rows& in, const frame& f, double* x, double* weights) {
    for (std::int64_t i = 0; i < in.x.rows; ++i)
        for (std::int64_t j = 0; j < in.x.cols; ++j)
            x[i * in.x.cols + j] = (io::element(in.x, i, j) - f.centre[j]) / f.scale[j];
    for (std::int64_t i = 0; weights && i < in.x.rows; ++i) {
        weights[i] = in.weights.data ? io::element(in.weights, i, 0) * in.weight_scale : 1;
        if (weights[i] == 0)
            std::transform(x + i * in.x.cols, x + (i + 1) * in.x.cols, x + i * in.x.cols, weightless);
    }
}

} // namespace elbo::kernels
