// A sweep: check, read the rows once, fit, then the table and the choice.
#include "elbo/gmm/select.hpp"

#include "elbo/buffer.hpp"
#include "host/check.hpp"
#include "host/gmm/fields.hpp"
#include "host/gmm/fit/fit_setup.hpp"
#include "host/gmm/select/sweep.hpp"
#include "host/io/sources.hpp"
#include "host/rows/column_summary.hpp"
#include "host/rows/em_driver.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <span>
#include <tuple>

namespace elbo::gmm {

namespace {

/// A copy of a source in the memory that the context computes on.
data_source copied(const context& ctx, const data_source& data) {
    constexpr std::int64_t batch_bytes = std::int64_t(32) << 20;
    const std::int64_t row_bytes = data.cols() * io::size_of(data.type());
    const auto memory = std::static_pointer_cast<char>(elbo::internal::allocate(ctx, data.rows() * row_bytes));
    const auto reader = data.read(batch_bytes / row_bytes + 1);
    std::vector<char> staging;
    char* to = memory.get();
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        const any_matrix_view from = readable(ctx, batch, staging);
        elbo::internal::copy_rows(ctx, to, row_bytes, from.data, from.stride * from.element_size(), row_bytes,
                                  from.rows);
        ctx.wait(); // the batch is valid until the next one
        to += from.rows * row_bytes;
    }
    const auto copy = io::open_numbers(memory, data.type(), data.rows(), data.cols());
    if (ctx.memory() == memory_space::device)
        copy->space = memory_space::device, copy->kept = 0;
    copy->column_names = data.column_names();
    copy->description = data.description();
    return data_source(copy);
}

/// Whether a context reads these rows without a copy in each pass.
bool is_resident(const context& ctx, const data_source& data) {
    const bool on_device = data.space() == memory_space::device;
    return data.contiguous() && on_device == (ctx.memory() == memory_space::device);
}

/// The rows of `data` as one matrix in the memory that the context computes on: `data` itself where it is one, a copy
/// where that fits into half of `memory_limit` (0: of what is free), else `data`, which is then no matrix there. The
/// copy keeps description and column names. Throws file_error, out_of_memory, cuda_error.
data_source keep_rows(const context& ctx, const data_source& data, std::int64_t memory_limit) {
    if (is_resident(ctx, data))
        return data;
    const std::optional<std::int64_t> numbers = io::checked_product(data.rows(), data.cols());
    const std::int64_t room = available_bytes(ctx, memory_limit) / 2 / io::size_of(data.type());
    if (!numbers || *numbers > room)
        return data;
    return copied(ctx, data);
}

template <class T, class Text>
void require_different(const char* name, const std::vector<T>& values, const Text& text) {
    expects(!values.empty(), [&] { return fmt::format("{} is empty: expected at least one", name); });
    for (auto at = values.begin(); at != values.end(); ++at)
        expects(std::find(values.begin(), at, *at) == at, [&] {
            return fmt::format("{}[{}] = {}: expected each only once", name, at - values.begin(), text(*at));
        });
}

void check_options(const select_options& o) {
    require_different("components", o.components, [](std::int64_t k) { return k; });
    require_different("families", o.families, [](family f) { return to_string(f); });
    check_fields(o);
    expects(is_held_out(o.by) || !o.one_standard_error, [&] {
        return fmt::format("one_standard_error with criterion {}: expected validation or cross_validation",
                           to_string(o.by));
    });
    expects(!o.fit.start_model, "fit.start_model is set: expected none in a sweep");
    expects(o.fit.checkpoint.path.empty() && o.fit.resume.empty(),
            "fit.checkpoint or fit.resume is set: expected those of the sweep");
    expects(!o.fit.callback, "fit.callback is set: expected the callback of the sweep");
}

/// What all fits have in common: labels and priors may suit only some of them, and each fit checks its own.
fit_options common_options(const select_options& o) {
    fit_options common = o.fit;
    common.components = 1;
    common.shape = o.families.front();
    common.labels = {};
    common.prior = {};
    return common;
}

/// Checks every value and weight.
checked_rows checked(const context& ctx, const data_source& rows, const fit_options& common, const io::json& known) {
    fit_setup setup(ctx, rows, common);
    checked_rows found;
    const data_summary summary = summarize_columns(setup.rows.feed(), setup.rows.engine());
    found.description = with_data(known, summary);
    found.variances = summary.regular_variance;
    if (common.regularization_variances)
        found.variances = *common.regularization_variances;
    if (setup.feed().weighted())
        found.weights = setup.feed().scaled_weights(0, rows.rows());
    found.weight_scale = setup.feed().weight_scale();
    return found;
}

std::optional<held_out_rows> hold_out(const data_source& rows, const select_options& o,
                                      const std::vector<double>& weights) {
    std::optional<held_out_rows> held_out;
    if (o.by == criterion::validation)
        held_out = held_out_rows::validation(rows, o.validation_fraction, o.fit.seed);
    if (o.by == criterion::cross_validation)
        held_out = held_out_rows::cross_validation(rows, held_out_rows::folds_of(o.folds, rows.rows()), o.fit.seed);
    if (held_out)
        held_out->require_weight(weights);
    return held_out;
}

std::string message_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        return e.what();
    }
}

/// Why a part has no result; empty where it has one.
std::string missing(const sweep_part& p) {
    const std::string where =
        p.fold == sweep_part::all_rows ? "" : fmt::format("without the rows held out as set {}: ", p.fold);
    if (p.failure)
        return where + message_of(p.failure);
    if (!p.fit)
        return where + "not fitted: interrupted before";
    if (p.fit->stopped == stop_reason::interrupted)
        return where + fmt::format("interrupted after {} iterations", p.fit->iterations);
    return {};
}

void set_held_out(select_cell& cell, std::span<const sweep_part> folds) {
    double weight = 0, sum = 0;
    for (const sweep_part& p : folds) {
        weight += p.held_out->weight;
        sum += p.held_out->weight * p.held_out->mean;
    }
    cell.held_out = sum / weight;
    const auto count = static_cast<double>(folds.size());
    double square = 0;
    for (const sweep_part& p : folds)
        square += (p.held_out->mean - cell.held_out) * (p.held_out->mean - cell.held_out);
    cell.held_out_error = folds.size() > 1 ? std::sqrt(square / (count * (count - 1)))
                                           : std::sqrt(folds.front().held_out->square) / weight;
}

/// A cell from its parts: all rows, then the folds.
select_cell make_cell(std::span<const sweep_part> parts) {
    const sweep_part& whole = parts.front();
    select_cell cell{whole.components, whole.shape};
    for (const sweep_part& p : parts) {
        cell.seconds += p.seconds;
        if (cell.error.empty())
            cell.error = missing(p);
    }
    if (whole.fit) {
        cell.fitted = true;
        cell.components_left = whole.fit->model.components();
        cell.parameters = whole.fit->model.parameters();
        copy_fields(*whole.fit, cell); // likelihood, criteria, iterations, why it stopped, events
    }
    if (parts.size() > 1 && cell.error.empty())
        set_held_out(cell, parts.subspan(1));
    return cell;
}

/// What is made small.
double loss(const select_cell& cell, criterion by) {
    constexpr double select_cell::*values[] = {&select_cell::bic, &select_cell::aic, &select_cell::icl,
                                               &select_cell::held_out, &select_cell::held_out};
    return (is_held_out(by) ? -1 : 1) * (cell.*values[static_cast<std::size_t>(by)]);
}

using table_index = std::int64_t;
constexpr table_index none = -1;

/// The best cell but `without`.
table_index best_cell(const std::vector<select_cell>& table, criterion by, table_index without) {
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
    const table_index next = best_cell(table, by, best);
    if (next == none)
        return "; no other model could be fitted";
    const double difference = loss(table[next], by) - loss(table[best], by);
    const std::string text = fmt::format("; next: {}, {}", model_name(table[next]), value_text(table[next], by));
    if (difference == 0)
        return text + ", the same, with " +
               (table[next].parameters > table[best].parameters ? "more parameters" : "as many parameters");
    return text + fmt::format(", {} {}", difference_text(difference, by), is_held_out(by) ? "less" : "more");
}

/// The choice; of an interrupted sweep without a finished cell, the best so far.
selection choose_cell(const std::vector<select_cell>& table, const select_options& o, bool interrupted) {
    selection chosen = choose(table, o.by, o.one_standard_error);
    if (chosen.cell >= 0 || !interrupted)
        return chosen;
    std::vector<select_cell> begun = table;
    for (select_cell& cell : begun)
        if (cell.fitted)
            cell.error.clear();
    chosen = choose(begun, criterion::bic, false);
    chosen.reason = "interrupted before a model was finished; so far: " + chosen.reason;
    return chosen;
}

[[noreturn]] void throw_first_failure(const std::vector<select_cell>& table, const std::vector<sweep_part>& parts) {
    for (const sweep_part& p : parts) {
        if (!p.failure)
            continue;
        const auto text = [&] {
            return fmt::format("none of {} models could be fitted; the first, {} with {} components: {}", table.size(),
                               to_string(p.shape), p.components, missing(p));
        };
        try {
            std::rethrow_exception(p.failure);
        } catch (const out_of_memory&) {
            throw;
        } catch (const invalid_argument&) {
            throw invalid_argument(text());
        } catch (const error&) {
            throw error(text());
        }
    }
    throw interrupted("interrupted before a model was fitted");
}

} // namespace

selection choose(const std::vector<select_cell>& table, criterion by, bool one_standard_error) {
    const table_index best = best_cell(table, by, none);
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

select_result select(const context& ctx, const data_source& data, const select_options& options) {
    const auto begin = std::chrono::steady_clock::now();
    check_options(options);
    const fit_options common = common_options(options);
    io::checkpoints store(options.checkpoint, options.resume);
    static_cast<void>(fit_setup(ctx, data, common)); // the options are checked before the data is read
    const io::json known = store.of_same_fit(description_of("selection of a mixture", ctx, options, data, ""));
    const data_source rows = keep_rows(ctx, data, options.fit.memory_limit);
    const checked_rows found = checked(ctx, rows, common, known);
    const std::optional<held_out_rows> held_out = hold_out(rows, options, found.weights);

    sweep_outcome all = run_sweep(ctx, rows, options, found, held_out ? &*held_out : nullptr, store);
    const std::size_t each = held_out ? static_cast<std::size_t>(1 + held_out->folds()) : 1;
    std::vector<select_cell> table;
    for (std::size_t i = 0; i < all.parts.size(); i += each)
        table.push_back(make_cell({all.parts.data() + i, each}));
    selection chosen = choose_cell(table, options, all.interrupted);
    if (chosen.cell < 0)
        throw_first_failure(table, all.parts);

    select_result result{*all.parts[static_cast<std::size_t>(chosen.cell) * each].fit};
    if (options.keep_fits)
        for (std::size_t i = 0; i < table.size(); ++i)
            table[i].fit = std::move(all.parts[i * each].fit);
    result.chosen = chosen.cell;
    result.reason = std::move(chosen.reason);
    result.table = std::move(table);
    result.by = options.by;
    result.interrupted = all.interrupted;
    result.streamed = !is_resident(ctx, rows);
    result.jobs = all.jobs;
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
}

} // namespace elbo::gmm
