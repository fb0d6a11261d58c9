#include "elbo/gmm/infer.hpp"

#include "host/check.hpp"
#include "host/gmm/infer/scoring.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_feed.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

using namespace kernels;

scoring::scoring(const context& ctx, const model& m, element_type type)
    : engine_(make_engine(ctx, {m.shape(), m.dimensions(), m.components()}, compute_precision::automatic, type)),
      frame_(frame_of(m)), shift_(log_scale(frame_)) {
    engine_->set_parameters(to_frame(m, frame_));
}

void scoring::reserve(std::int64_t rows, sample_labels::kind known) {
    if (rows > rows_)
        engine_->reserve(rows, false, known);
    rows_ = std::max(rows, rows_);
}

void scoring::infer(const input_rows& batch, double* log_density, double* responsibilities, std::int32_t* assignment) {
    engine_->load(batch, frame_, 0);
    engine_->infer(0, batch.x.rows, log_density, responsibilities, assignment);
    for (std::int64_t i = 0; log_density && i < batch.x.rows; ++i)
        log_density[i] -= shift_;
}

void infer(const context& ctx, const model& m, const data_source& data, bool with_responsibilities,
           const std::function<void(const inference_batch&)>& sink, const sample_labels& known) {
    expects(data.cols() == m.dimensions(), [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), m.dimensions());
    });
    row_feed feed(ctx, data, {}, known, m.components());
    feed.stream(); // the results of a batch are kept, so batches stay small
    scoring engine(ctx, m, data.type());
    feed.summarize(engine.engine()); // every value is checked before the first result is handed out
    engine.reserve(std::min(data.rows(), feed.batch_rows()), feed.known());
    std::vector<double> densities, responsibilities;
    std::vector<std::int32_t> labels;
    feed.for_each(reading::in_turn, [&](const input_rows& batch, std::int64_t first_row) {
        const std::int64_t rows = batch.x.rows;
        densities.resize(rows);
        labels.resize(rows);
        if (with_responsibilities)
            responsibilities.resize(rows * m.components());
        double* const r = with_responsibilities ? responsibilities.data() : nullptr;
        engine.infer(batch, densities.data(), r, labels.data());
        sink({first_row, rows, densities.data(), r, labels.data()});
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
