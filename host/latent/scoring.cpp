#include "host/latent/scoring.hpp"

#include "host/check.hpp"
#include "host/latent/latent_common.hpp"
#include "host/rows/row_feed.hpp"

#include <fmt/format.h>

namespace elbo::latent {

using namespace kernels;

std::int64_t scoring::most_rows() const {
    constexpr std::int64_t numbers = std::int64_t(1) << 23; // of results, about
    return std::max<std::int64_t>(1, numbers / ((2 + components + width) * unit_rows)) * unit_rows;
}

void infer_rows(const context& ctx, const data_source& data, scoring& model, bool with_means,
                const std::function<void(std::int64_t, std::int64_t, const row_results&)>& sink) {
    expects(data.cols() == model.dimensions, [&] {
        return fmt::format("{} has {} columns: expected {}, the dimensions of the model", data.description(),
                           data.cols(), model.dimensions);
    });
    gmm::row_feed feed(ctx, data, {});
    feed.stream(); // the results of a batch are kept, so batches stay small
    check_rows(ctx, feed);
    const std::int64_t most = std::min(feed.batch_rows(), model.most_rows());
    const std::int64_t held = std::min(most, data.rows());
    model.reserve(std::min(data.rows(), feed.batch_rows()));
    std::vector<double> densities(held), responsibilities(held * model.components),
        means(with_means ? held * model.width : 0), concentrations(held);
    const row_results results{densities.data(), responsibilities.data(), with_means ? means.data() : nullptr,
                              concentrations.data()};
    feed.for_each(gmm::reading::in_turn, [&](const input_rows& batch, std::int64_t first_row) {
        model.load(batch);
        for (std::int64_t at = 0; at < batch.x.rows; at += most) {
            const std::int64_t rows = std::min(most, batch.x.rows - at);
            model.infer(at, rows, results, data.description(), first_row);
            sink(first_row + at, rows, results);
        }
    });
}

std::vector<double> reconstruct_rows(const context& ctx, const data_source& data, scoring& model) {
    std::vector<double> out(data.rows() * model.dimensions);
    infer_rows(ctx, data, model, true, [&](std::int64_t first_row, std::int64_t rows, const row_results& r) {
        model.reconstruct(rows, r, &out[first_row * model.dimensions]);
    });
    return out;
}

} // namespace elbo::latent
