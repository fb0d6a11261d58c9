#include "host/cli/core/fit_notes.hpp"

#include "host/cli/core/outputs.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::cli {

void tell_negligible(const output_options& options, const gmm::negligible_weights& rows, io::json& summary) {
    if (rows.rows == 0)
        return;
    summary["negligible_weights"] = {{"rows", rows.rows}, {"first_row", rows.first}};
    note(options, fmt::format("{} row{}, the first is {}, with weights below 2e-22 of the sum of all: taken as 0",
                              rows.rows, rows.rows == 1 ? "" : "s", rows.first));
}

void tell_identical(const output_options& options, const std::vector<gmm::event>& events) {
    const auto is_identical = [](const gmm::event& e) { return e.what == gmm::event::kind::identical; };
    const std::int64_t count = std::ranges::count_if(events, is_identical);
    if (count == 0)
        return;
    note(options, fmt::format("the start model has {} component{}, the first is {}, the same as one before: EM cannot "
                              "separate them; give them means of their own",
                              count, count == 1 ? "" : "s", std::ranges::find_if(events, is_identical)->component));
}

} // namespace elbo::cli
