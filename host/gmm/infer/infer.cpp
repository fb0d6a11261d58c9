#include "elbo/gmm/infer.hpp"

#include "host/check.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_feed.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

void infer(const context& ctx, const model& m, const data_source& data, bool with_responsibilities,
           const std::function<void(const inference_batch&)>& sink, const sample_labels& known) {
    expects(data.cols() == m.dimensions(), [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), m.dimensions());
    });
    row_feed feed(ctx, data, {}, known, m.components());
    feed.stream(); // the results of a batch are kept, so batches stay small
    const gmm_shape shape{m.shape(), m.dimensions(), m.components()};
    const auto engine = make_engine(ctx, shape, compute_precision::automatic, data.type());
    feed.summarize(*engine); // every value is checked before the first result is handed out
    const frame f = frame_of(m);
    const double shift = log_scale(f);
    engine->reserve(std::min(data.rows(), feed.batch_rows()), false, feed.known());
    engine->set_parameters(to_frame(m, f));
    std::vector<double> densities, responsibilities;
    std::vector<std::int32_t> labels;
    feed.for_each(reading::in_turn, [&](const input_rows& batch, std::int64_t first_row) {
        const std::int64_t rows = batch.x.rows;
        densities.resize(rows);
        labels.resize(rows);
        if (with_responsibilities)
            responsibilities.resize(rows * m.components());
        engine->load(batch, f, 0);
        engine->infer(0, rows, densities.data(), with_responsibilities ? responsibilities.data() : nullptr,
                      labels.data());
        for (double& v : densities)
            v -= shift;
        sink({first_row, rows, densities.data(), with_responsibilities ? responsibilities.data() : nullptr,
              labels.data()});
    });
}

std::vector<double> log_density(const context& ctx, const model& m, const data_source& data,
                                const sample_labels& labels) {
    std::vector<double> result(data.rows());
    const auto keep = [&](const inference_batch& b) {
        std::copy(b.log_density, b.log_density + b.rows, result.begin() + b.first_row);
    };
    infer(ctx, m, data, false, keep, labels);
    return result;
}

std::vector<double> responsibilities(const context& ctx, const model& m, const data_source& data,
                                     const sample_labels& labels) {
    std::vector<double> result(data.rows() * m.components());
    const auto keep = [&](const inference_batch& b) {
        std::copy(b.responsibilities, b.responsibilities + b.rows * m.components(),
                  result.begin() + b.first_row * m.components());
    };
    infer(ctx, m, data, true, keep, labels);
    return result;
}

std::vector<std::int32_t> assign(const context& ctx, const model& m, const data_source& data,
                                 const sample_labels& labels) {
    std::vector<std::int32_t> result(data.rows());
    const auto keep = [&](const inference_batch& b) {
        std::copy(b.assignment, b.assignment + b.rows, result.begin() + b.first_row);
    };
    infer(ctx, m, data, false, keep, labels);
    return result;
}

} // namespace elbo::gmm
