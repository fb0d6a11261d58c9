#include "host/cli/core/report_page.hpp"

#include "host/cli/core/inputs.hpp"

#include "elbo/gmm/infer.hpp"
#include "elbo/version.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace elbo::cli {

std::string made_by(const context& ctx) {
    return fmt::format("elbo {} on {}", version, ctx.name());
}

report::page make_page(const context& ctx, const gmm::model& m, const data_source& data,
                       const std::string& command_line) {
    report::page page;
    page.title = fmt::format("Gaussian mixture of {}", std::filesystem::path(data.description()).filename().string());
    page.model = &m;
    page.column_names = data.column_names();
    page.samples = data.rows();
    page.points.rows = evenly_spaced_rows(data, report::shown_points(m.dimensions()));
    const auto count = static_cast<std::int64_t>(page.points.rows.size()) / m.dimensions();
    page.points.labels = gmm::assign(ctx, m, matrix_view<const double>(page.points.rows.data(), count, m.dimensions()));
    page.command = command_line;
    page.made_by = made_by(ctx);
    return page;
}

} // namespace elbo::cli
