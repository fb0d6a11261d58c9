#include "host/gmm/select/sweep.hpp"

#include <fmt/format.h>
#include <tuple>

namespace elbo::gmm {

namespace {

/// What is made small.
double loss(const select_cell& cell, criterion by) {
    constexpr double select_cell::*values[] = {&select_cell::bic, &select_cell::aic, &select_cell::icl,
                                               &select_cell::held_out, &select_cell::held_out};
    return (is_held_out(by) ? -1 : 1) * (cell.*values[static_cast<std::size_t>(by)]);
}

using table_index = std::int64_t;
constexpr table_index none = -1;

/// The best cell but `without`.
table_index best_of(const std::vector<select_cell>& table, criterion by, table_index without) {
    const auto key = [&](table_index i) { return std::tuple(loss(table[i], by), table[i].parameters); };
    table_index best = none;
    for (table_index i = 0; i < std::ssize(table); ++i)
        if (i != without && table[i].error.empty() && (best == none || key(i) < key(best)))
            best = i;
    return best;
}

/// The cell with the fewest parameters within one standard error of the best one.
table_index fewest_parameters(const std::vector<select_cell>& table, criterion by, table_index best) {
    const double limit = loss(table[best], by) + table[best].held_out_error;
    const auto key = [&](table_index i) { return std::tuple(table[i].parameters, loss(table[i], by)); };
    table_index fewest = best;
    for (table_index i = 0; i < std::ssize(table); ++i)
        if (table[i].error.empty() && loss(table[i], by) <= limit && key(i) < key(fewest))
            fewest = i;
    return fewest;
}

std::string model_name(const select_cell& cell) {
    std::string name = fmt::format("{} K = {}", to_string(cell.shape), cell.components);
    if (cell.components_left != cell.components)
        name += fmt::format(" ({} left)", cell.components_left);
    return name;
}

std::string value_text(const select_cell& cell, criterion by) {
    return is_held_out(by) ? fmt::format("{:.4f} ± {:.4f}", cell.held_out, cell.held_out_error)
                           : fmt::format("{:.1f}", loss(cell, by));
}

/// A difference with as many decimals as the values, or more where it is small.
std::string difference_text(double difference, criterion by) {
    const int decimals = is_held_out(by) ? 4 : 1;
    return difference > 0 && difference < (is_held_out(by) ? 5e-4 : 0.5) ? fmt::format("{:.2g}", difference)
                                                                         : fmt::format("{:.{}f}", difference, decimals);
}

std::string runner_up_text(const std::vector<select_cell>& table, criterion by, table_index best) {
    const table_index next = best_of(table, by, best);
    if (next == none)
        return "; no other model could be fitted";
    const double difference = loss(table[next], by) - loss(table[best], by);
    const std::string text = fmt::format("; next: {}, {}", model_name(table[next]), value_text(table[next], by));
    if (difference == 0)
        return text + ", the same, with " +
               (table[next].parameters > table[best].parameters ? "more parameters" : "as many parameters");
    return text + fmt::format(", {} {}", difference_text(difference, by), is_held_out(by) ? "less" : "more");
}

} // namespace

selection choose(const std::vector<select_cell>& table, criterion by, bool one_standard_error) {
    const table_index best = best_of(table, by, none);
    if (best == none)
        return {};
    const table_index chosen = one_standard_error ? fewest_parameters(table, by, best) : best;
    const std::string value =
        fmt::format("{} {} for {}", to_string(by), value_text(table[chosen], by), model_name(table[chosen]));
    if (chosen == best)
        return {chosen, value + runner_up_text(table, by, best)};
    return {chosen, value + fmt::format(": {} parameters, the fewest within one standard error of the best, {}, {}, {} "
                                        "parameters",
                                        table[chosen].parameters, model_name(table[best]), value_text(table[best], by),
                                        table[best].parameters)};
}

} // namespace elbo::gmm
