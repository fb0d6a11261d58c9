// What a fit will need, stated before it starts.
#include "host/gmm/fit/fit_setup.hpp"
#include "host/rows/column_summary.hpp"
#include "kernels/math/fixed_point.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::gmm {

namespace {

/// Vectors [d] of a fit that the host keeps beside the engine: mean, variance, range and regular variance of the data,
/// the frame, λ in its units and in those of the data.
constexpr std::int64_t host_vectors = 10;

} // namespace

memory_plan plan_memory(const context& ctx, const data_source& data, const fit_options& options) {
    const fit_setup s(ctx, data, options);
    const bool weighted = s.feed().weighted();
    const sample_labels::kind known = s.feed().known();
    const std::int64_t rows = data.rows(), resident = s.rows.at_a_time();
    const std::int64_t number = data.type() == element_type::float32 ? 4 : 8;
    const bool doubles = options.precision == compute_precision::float64 || ctx.where() == backend::reference ||
                         (options.precision == compute_precision::automatic && number == 8);
    memory_plan p;
    p.streamed = s.rows.streamed();
    const bool on_device = data.space() == memory_space::device, on_host = ctx.where() != backend::cuda;
    p.data = on_host ? data.kept_bytes() : on_device ? rows * s.shape().dimensions * number : 0;
    p.normalized = resident * s.shape().dimensions * (doubles ? 8 : 4);
    // The first start runs before the rows are loaded, those of further restarts beside them.
    const std::int64_t start = s.start_bytes();
    const std::int64_t summary = on_host ? summary_bytes(rows, s.shape().dimensions) : 0;
    const std::int64_t beside = on_host ? 8 * host_vectors * s.shape().dimensions : 0;
    const std::int64_t first_start = s.rows.engine().bytes_needed(0, weighted, known) + std::max(start, summary);
    // The limbs of the scatter matrix of a tied family are on a device once, beside everything else.
    const std::int64_t scatter =
        ctx.where() == backend::cuda ? 8 * kernels::limb_count * kernels::scatter_size(s.shape()) : 0;
    const std::int64_t iterations =
        s.rows.engine().bytes_needed(resident, weighted, known) + scatter + (options.restarts > 1 ? start : 0);
    p.workspace = std::max<std::int64_t>(0, std::max(first_start, iterations) - p.normalized) + beside;
    p.peak = p.data + p.normalized + p.workspace;
    return p;
}

std::string memory_plan::to_string() const {
    const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    return fmt::format("{:.1f} MiB: data {:.1f}, normalised copy {:.1f}, workspace {:.1f}{}", mib(peak), mib(data),
                       mib(normalized), mib(workspace), streamed ? ", streamed" : "");
}

} // namespace elbo::gmm
