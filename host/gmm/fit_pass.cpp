#include "host/gmm/fit_pass.hpp"

#include "host/gmm/regularization.hpp"
#include "host/gmm/restarts.hpp"

namespace elbo::gmm {

using namespace kernels;

gmm_parameters first_parameters(const fit_setup& setup, const frame& f, const data_summary& summary,
                                const std::vector<double>& lambda, std::int64_t restart, start_sample& sample) {
    const fit_options& options = setup.options;
    if (options.start_model)
        return to_frame(*options.start_model, f);
    if (sample.rows == 0)
        sample = draw_start_sample(setup.feed, f, summary, start_row_limit(options.components, setup.shape.dimensions),
                                   options.seed);
    return start_parameters(setup.ctx, sample, setup.shape, options, lambda, restart_seed(options.seed, restart));
}

std::vector<double> load_rows(fit_setup& setup, const frame& f, double component_bound) {
    gmm_engine& engine = *setup.engine;
    const bool tied = is_tied(setup.shape.family);
    engine.reserve(setup.resident_rows(), setup.feed.weighted(), setup.feed.known());
    fixed_sums scatter = empty_scatter(setup.shape, component_bound);
    if (!setup.streamed || tied)
        setup.feed.for_each([&](const input_rows& batch, std::int64_t first_row) {
            const std::int64_t slot = setup.streamed ? 0 : first_row;
            engine.load(batch, f, slot);
            if (tied)
                engine.accumulate_scatter(slot, batch.x.rows, scatter);
        });
    return scatter_values(scatter);
}

void pass_over_rows(fit_setup& setup, const frame& f, double component_bound, double scalar_bound) {
    gmm_engine& engine = *setup.engine;
    engine.clear_sums(component_bound, scalar_bound);
    if (!setup.streamed) {
        engine.accumulate(0, setup.feed.data().rows());
        return;
    }
    setup.feed.for_each([&](const input_rows& batch, std::int64_t) {
        engine.load(batch, f, 0);
        engine.accumulate(0, batch.x.rows);
    });
}

} // namespace elbo::gmm
