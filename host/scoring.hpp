// An engine that holds a model, for batches of rows: what sessions and the functions over data share; what sessions ask
// of their caller's views, and results on their way there.
#pragma once

#include "elbo/buffer.hpp"
#include "elbo/context.hpp"
#include "elbo/error.hpp"
#include "elbo/matrix_view.hpp"
#include "host/check.hpp"
#include "host/rows/frame.hpp"
#include "host/rows/row_access.hpp"
#include "host/rows/row_feed.hpp"
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/contract/row_engine.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace elbo {

template <class Engine>
class scoring {
public:
    static constexpr bool mixture = std::is_base_of_v<kernels::gmm_engine, Engine>;
    using results = std::conditional_t<mixture, kernels::inference_results, kernels::row_results>;

    /// An engine that has its parameters in that frame. Rows have about `result_numbers` results.
    scoring(std::unique_ptr<Engine> engine, kernels::frame f, std::int64_t result_numbers)
        : engine_(std::move(engine)), frame_(std::move(f)), shift_(gmm::log_scale(frame_)),
          most_(std::max<std::int64_t>(1, most_numbers / (result_numbers * kernels::unit_rows)) * kernels::unit_rows) {}

    Engine& engine() const { return *engine_; }
    /// Rows whose results are held at a time, whole units: those of many components are larger than their rows.
    std::int64_t most_rows() const { return most_; }

    /// The results of rows that have been checked, in units of the data, which are there when this returns. `x` is what
    /// the rows are called in messages, where the first is row first_row. Memory grows to the largest call. Throws
    /// out_of_memory, and invalid_argument for a row too far from a model with continuous latent variables.
    void infer(const kernels::input_rows& all, results to, std::string_view x = {}, std::int64_t first_row = 0) {
        to.shift = shift_;
        const std::int64_t step = std::min(most_, gmm::streamed_batch_rows(all.x.cols, all.x.type));
        reserve(std::min(step, all.x.rows), all.label_kind);
        for (std::int64_t first = 0; first < all.x.rows; first += step) {
            const std::int64_t rows = std::min(step, all.x.rows - first);
            engine_->load(all.slice(first, rows), frame_, 0);
            if constexpr (mixture)
                engine_->infer(0, rows, to.slice(first, rows));
            else if (const std::int64_t far = engine_->infer(0, rows, to.slice(first, rows)); far >= 0)
                throw_far_row(x, first_row + first + far);
        }
    }

private:
    static constexpr std::int64_t most_numbers = std::int64_t(1) << 23;

    void reserve(std::int64_t rows, gmm::sample_labels::kind known) {
        const bool labels = known != gmm::sample_labels::kind::none && known != known_; // rows without need no memory
        if (rows <= rows_ && !labels)
            return;
        rows_ = std::max(rows, rows_);
        known_ = labels ? known : known_;
        if constexpr (mixture)
            engine_->reserve(rows_, false, known_);
        else
            engine_->reserve(rows_, false);
    }
    [[noreturn]] static void throw_far_row(std::string_view x, std::int64_t row) {
        throw invalid_argument(fmt::format("{}: row {} is so far from the model that its log-density is no finite "
                                           "number: leave the row out",
                                           x, row));
    }

    std::unique_ptr<Engine> engine_;
    kernels::frame frame_;
    double shift_; ///< log-densities are larger by it in the frame
    std::int64_t most_;
    std::int64_t rows_ = 0; ///< that there is memory for
    gmm::sample_labels::kind known_ = gmm::sample_labels::kind::none;
};

/// Data under a model: every value has been checked before the first result is made.
template <class Engine>
class scored_data {
public:
    /// With what is known of the components, of which there are `components`. Throws invalid_argument.
    scored_data(const context& ctx, const data_source& data, scoring<Engine> model, std::int64_t dimensions,
                const gmm::sample_labels& labels = {}, std::int64_t components = 0)
        : feed_(ctx, check_width(data, dimensions), {}, labels, components), model_(std::move(model)) {
        feed_.stream(); // the results of a batch are kept, so batches stay small
        if constexpr (scoring<Engine>::mixture)
            feed_.summarize(model_.engine());
        else
            feed_.summarize(*gmm::make_moments_engine(ctx, dimensions, data.type()));
    }

    /// The results of all rows. Throws as scoring::infer.
    void infer(const typename scoring<Engine>::results& to) {
        feed_.for_each(gmm::reading::in_turn, [&](const kernels::input_rows& batch, std::int64_t first_row) {
            model_.infer(batch, to.slice(first_row, batch.x.rows), feed_.data().description(), first_row);
        });
    }
    /// The same in parts, in order, of at most most_rows() rows: to(rows) says where, use(first_row, rows) sees them.
    template <class To, class Use>
    void infer(const To& to, const Use& use) {
        feed_.for_each(gmm::reading::in_turn, [&](const kernels::input_rows& batch, std::int64_t first_row) {
            for (std::int64_t at = 0; at < batch.x.rows; at += model_.most_rows()) {
                const std::int64_t rows = std::min(model_.most_rows(), batch.x.rows - at), first = first_row + at;
                model_.infer(batch.slice(at, rows), to(rows), feed_.data().description(), first);
                use(first, rows);
            }
        });
    }
    std::int64_t most_rows() const { return std::min(feed_.data().rows(), model_.most_rows()); }

private:
    gmm::row_feed feed_;
    scoring<Engine> model_;
};

// The views of a session's caller

/// Throws invalid_argument where the back end of the context cannot reach such memory.
inline void check_reach(const context& ctx, std::string_view name, memory_space space) {
    expects(ctx.memory() == memory_space::device || space != memory_space::device, [&] {
        return fmt::format("{} is in device memory: expected host memory for the {} back end", name,
                           to_string(ctx.where()));
    });
}

/// Throws invalid_argument unless x has at least one row of `cols` columns, which are `what`, within reach.
inline void check_input(const context& ctx, std::string_view name, const any_matrix_view& x, std::int64_t cols,
                        std::string_view what) {
    expects(x.data != nullptr && x.rows >= 0 && x.cols == cols && x.stride >= cols, [&] {
        return fmt::format("{} is {} x {} with stride {}: expected {} columns, {}", name, x.rows, x.cols, x.stride,
                           cols, what);
    });
    check_reach(ctx, name, x.space);
}

/// Throws invalid_argument unless `to` is [rows x cols] within reach.
template <class T>
void check_result(const context& ctx, std::string_view name, const matrix_view<T>& to, std::int64_t rows,
                  std::int64_t cols) {
    expects(to.data != nullptr && to.rows == rows && to.cols == cols && to.stride >= cols, [&] {
        return fmt::format("{} is {} x {} with stride {}: expected {} x {}", name, to.rows, to.cols, to.stride, rows,
                           cols);
    });
    check_reach(ctx, name, to.space);
}
/// The same for results that are left out where there is no view.
template <class T>
void check_optional(const context& ctx, std::string_view name, const matrix_view<T>& to, std::int64_t rows,
                    std::int64_t cols) {
    if (to.data)
        check_result(ctx, name, to, rows, cols);
}

/// Finds what is no finite number in rows.
class value_check {
public:
    /// Throws invalid_argument: row, column. Rows in device memory are for an engine of mixtures of any shape to look
    /// at; for others it may be null.
    void operator()(const context& ctx, std::string_view name, const any_matrix_view& x, kernels::gmm_engine* engine);

private:
    kernels::unit_summaries units_;
};

/// Copies results that were made whole to a view of the same size, and waits.
template <class T>
void deliver(const context& ctx, const std::vector<T>& from, const matrix_view<T>& to) {
    if (!to.data)
        return;
    copy<T>(ctx, matrix_view<const T>(from.data(), to.rows, to.cols), to);
    ctx.wait();
}

} // namespace elbo
