// The CPU back end: blocked, vectorised, all cores (contract: kernels/contract/gmm_engine.hpp).
#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/core/fixed_accumulator.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/packed_model.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/shared/m_step.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

namespace elbo::kernels::cpu {

namespace {

constexpr std::int64_t padded(std::int64_t rows) {
    return (rows + strip_rows - 1) / strip_rows * strip_rows;
}

/// What is known of the components of the resident rows: labels [slots] or log-factors in strips [slots / 64][k][64];
/// nothing by default. Slots come in whole strips.
template <class T>
class label_store {
public:
    label_store() = default;
    label_store(sample_labels::kind kind, std::int64_t slots, std::int64_t components)
        : components_(components), labels_(kind == sample_labels::kind::labels ? slots : 0),
          log_factors_(kind == sample_labels::kind::factors ? slots * components : 0) {}

    static std::int64_t bytes(sample_labels::kind kind, std::int64_t slots, std::int64_t components) {
        const std::int64_t numbers = slots * label_columns(kind, components);
        return kind == sample_labels::kind::factors ? aligned_array<T>::bytes(numbers)
                                                    : aligned_array<std::int32_t>::bytes(numbers);
    }

    bool has_factors() const { return log_factors_.size() > 0; }
    const std::int32_t* labels(std::int64_t slot) const { return labels_.size() > 0 ? labels_.data() + slot : nullptr; }
    const T* log_factors(std::int64_t slot) const {
        return has_factors() ? log_factors_.data() + slot * components_ : nullptr;
    }

    /// The labels of unit u of an input into the slots from `slot` on; unknown behind the last row of a strip and where
    /// the input has none.
    void load_unit(const input_rows& in, std::int64_t u, std::int64_t slot) {
        const std::int64_t first = u * unit_rows, rows = std::min(unit_rows, in.x.rows - first);
        const bool known = in.label_kind != sample_labels::kind::none;
        const auto number = [&](std::int64_t i, std::int64_t j) { return io::element(in.labels, first + i, j); };
        const std::int64_t end = (rows + strip_rows - 1) / strip_rows * strip_rows;
        for (std::int64_t i = 0; i < end; ++i) {
            const bool given = known && i < rows;
            if (labels_.size() > 0)
                labels_[slot + i] = given ? static_cast<std::int32_t>(number(i, 0)) : -1;
            T* column = log_factors_.data() + (slot + i) / strip_rows * strip_rows * components_ + i % strip_rows;
            for (std::int64_t k = 0; k < components_ && has_factors(); ++k)
                column[k * strip_rows] = given ? static_cast<T>(std::log(number(i, k))) : T(0);
        }
    }

private:
    std::int64_t components_ = 0;
    aligned_array<std::int32_t> labels_;
    aligned_array<T> log_factors_;
};

template <class T>
class engine final : public gmm_engine {
public:
    engine(const context& ctx, const gmm_shape& s)
        : gmm_engine(s), threads_(ctx.threads()), set_(choose_instruction_set()), kernels_(set_.kernels<T>()),
          block_rows_(choose_block_rows(s, sizeof(T))), model_(s, kernels_, block_rows_) {}

    std::int64_t summarize(const input_rows& in, unit_summaries& out) override {
        require_host_memory(in.x, "x");
        require_host_memory(in.weights, "weights");
        const std::int64_t units = units_of(in.x.rows), d = in.x.cols;
        out.clear(d);
        double* const lines = out.append(units);
        std::vector<std::int64_t> bad(static_cast<std::size_t>(units));
        parallel_for(threads_, units, [&](std::int64_t u, int) {
            double *line = lines + u * summary_size(d), *mean = line + summary_scalars;
            moments_view moments{0, 0, 0, 0, mean, mean + d, mean + 2 * d, mean + 3 * d};
            bad[u] = set_.common->summarize_unit(unit_of(in, u), moments);
            line[summary_weight] = moments.weight, line[summary_positive] = static_cast<double>(moments.positive);
            line[summary_largest] = moments.largest_weight, line[summary_smallest] = moments.smallest_weight;
        });
        for (std::int64_t u = 0; u < units; ++u)
            if (bad[u] >= 0)
                return u * unit_rows * d + bad[u];
        return -1;
    }

    std::int64_t bytes_needed(std::int64_t rows, bool weighted, sample_labels::kind labels) const override {
        return aligned_array<T>::bytes(padded(rows) * (shape.dimensions + (weighted ? 1 : 0))) +
               (has_homes() ? aligned_array<std::int32_t>::bytes(padded(rows)) + aligned_array<T>::bytes(padded(rows))
                            : 0) +
               label_store<T>::bytes(labels, padded(rows), shape.components) +
               team_of(rows) * workspace<T>::bytes(shape, block_rows_) + packed_model<T>::bytes(shape, threads_) +
               m_step::bytes(shape, threads_) + fixed_accumulator::bytes(shape, threads_) + scatter_bytes(rows);
    }

    void reserve(std::int64_t rows, bool weighted, sample_labels::kind labels) override {
        x_ = aligned_array<T>(); // before, so that both are never held
        weights_ = aligned_array<T>();
        labels_ = label_store<T>();
        x_ = aligned_array<T>(padded(rows) * shape.dimensions);
        if (weighted)
            weights_ = aligned_array<T>(padded(rows));
        labels_ = label_store<T>(labels, padded(rows), shape.components);
        if (has_homes()) {
            homes_ = aligned_array<std::int32_t>(padded(rows));
            std::fill_n(homes_.data(), homes_.size(), -1);
            guards_ = aligned_array<T>(padded(rows));
        }
        while (std::ssize(workspaces_) < team_of(rows))
            workspaces_.emplace_back(shape, block_rows_);
    }

    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        require_host_memory(in.x, "x");
        require_host_memory(in.weights, "weights");
        require_host_memory(in.labels, "labels");
        if (guards_.size() > 0)
            std::fill_n(guards_.data() + slot, padded(in.x.rows), T(0));
        loaded_ = true;
        inverse_.resize(f.scale.size());
        std::ranges::transform(f.scale, inverse_.begin(), [](double s) { return 1 / s; }); // exact: powers of two
        parallel_for(threads_, units_of(in.x.rows), [&](std::int64_t u, int) {
            const std::int64_t first = slot + u * unit_rows;
            T* weights = weights_.size() > 0 ? weights_.data() + first : nullptr;
            kernels_.normalize_unit(unit_of(in, u), f.centre.data(), inverse_.data(),
                                    x_.data() + first * shape.dimensions, weights);
            labels_.load_unit(in, u, first);
        });
    }

    void clear_sums(double component_bound, double scalar_bound) override {
        accumulator().clear(component_bound, scalar_bound);
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        // Limbs take additions_between_carries partials; a pass longer than that is cut.
        constexpr std::int64_t most = additions_between_carries / 2 * unit_rows;
        for (std::int64_t begin = first; begin < first + rows; begin += most)
            accumulate_part(begin, std::min(most, first + rows - begin));
    }

    void accumulate_scatter(std::int64_t first, std::int64_t rows, fixed_sums& scatter) override {
        const std::int64_t d = shape.dimensions;
        const std::int64_t panel = scatter_panel(shape.family, d), partial = scatter_partial(shape.family, d);
        aligned_array<double> scratch(team_of(rows) * (panel + partial));
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            double* own = scratch.data() + thread * (panel + partial);
            kernels_.scatter_unit(shape.family, d, unit_at(first + u * unit_rows, first + rows), own, own + panel);
            const std::lock_guard lock(scatter_mutex_);
            scatter.add(own + panel);
        });
    }

    fixed_sums sums() override { return accumulator().sums(); }
    void set_sums(const fixed_sums& s) override { accumulator().set_sums(s); }

    void set_parameters(const gmm_parameters& p) override {
        current_ = p;
        round_parameters<T>(current_);
        model_.pack(current_);
        if (update_)
            std::ranges::fill(update_->reseeds(), 0);
    }
    gmm_parameters parameters() override { return current_; }

    std::vector<std::int32_t> reseeds() override { return step().reseeds(); }
    void set_reseeds(const std::vector<std::int32_t>& times) override { step().reseeds() = times; }

    update_outcome update(const update_rule& rule) override {
        const update_outcome outcome = step().run(current_, accumulator().totals(), rule, next_);
        round_parameters<T>(next_);
        return outcome;
    }

    void adopt() override {
        std::swap(current_, next_);
        model_.pack(current_);
    }

    void infer(std::int64_t first, std::int64_t rows, const inference_results& to) override {
        parallel_for(threads_, units_of(rows), [&](std::int64_t u, int thread) {
            const std::int64_t at = u * unit_rows;
            kernels_.infer_unit(model_.view(), unit_at(first + at, first + rows), workspaces_[thread].view,
                                to.slice(at, std::min(unit_rows, rows - at)));
        });
    }

private:
    bool has_homes() const { return screens_pairs(shape.family, shape.dimensions, shape.components); }
    m_step& step() { return update_ ? *update_ : update_.emplace(shape, threads_); }
    /// Threads that so many rows give work to.
    std::int64_t team_of(std::int64_t rows) const { return std::min<std::int64_t>(units_of(rows), threads_); }
    /// Of the scatter matrix of a tied family: scratch memory, and the sums (limbs and numbers) of who asked for it.
    std::int64_t scatter_bytes(std::int64_t rows) const {
        const gmm::family f = shape.family;
        const std::int64_t d = shape.dimensions;
        if (!gmm::is_tied(f))
            return 0;
        return 8 *
               (team_of(rows) * (scatter_panel(f, d) + scatter_partial(f, d)) + (limb_count + 1) * scatter_size(shape));
    }

    fixed_accumulator& accumulator() {
        if (!accumulator_)
            accumulator_.emplace(shape, threads_, *set_.common);
        return *accumulator_;
    }

    /// The unit that begins at slot `first`, of the slots before `end`.
    unit_view<T> unit_at(std::int64_t first, std::int64_t end) const {
        return {x_.data() + first * shape.dimensions,
                weights_.size() > 0 ? weights_.data() + first : nullptr,
                std::min(unit_rows, end - first),
                homes_.size() > 0 ? homes_.data() + first : nullptr,
                guards_.size() > 0 ? guards_.data() + first : nullptr,
                labels_.labels(first),
                labels_.log_factors(first)};
    }

    void accumulate_part(std::int64_t first, std::int64_t rows) {
        const std::int64_t units = units_of(rows);
        const auto may_screen = [&](const workspace<T>& w) {
            return w.view.screen->homes_known && w.view.screen->skip * block_rows_ < rows;
        };
        for (const workspace<T>& w : workspaces_)
            w.view.screen->open = 0;
        if (!labels_.has_factors() && std::ranges::any_of(workspaces_, may_screen))
            begin_screens(rows);
        fixed_accumulator& accumulator = this->accumulator();
        accumulator.begin(units);
        parallel_for(threads_, units, [&](std::int64_t u, int thread) {
            const workspace_view<T>& ws = workspaces_[thread].view;
            kernels_.accumulate_unit(model_.view(), unit_at(first + u * unit_rows, first + rows), ws);
            accumulator.add(thread, ws.partial, ws.touched);
        });
        accumulator.end();
        end_screens();
    }

    /// Before a pass whose rows may be screened: whether it is a survey, else what is left of the guards of the last
    /// one; and, unless next to no row needs them, the separations. Rows that have been loaded lately may not stay.
    void begin_screens(std::int64_t rows) {
        constexpr std::int64_t longest = 16; // passes until another survey is worth a try
        const std::int64_t most = rows / 16;
        ++passes_;
        if (separates_components(shape.family, shape.dimensions, shape.components) && !loaded_) {
            if (passes_ > longest ? open_ > most : open_ > open_after_survey_ + most) {
                std::fill_n(guards_.data(), guards_.size(), T(0));
                model_.begin_survey(current_, threads_);
                passes_ = 0;
            } else if (open_after_survey_ + most < rows) {
                model_.find_drift(current_, threads_);
            }
        }
        if (open_ * 16 > shape.components || model_.view().drift.scale == 0)
            model_.find_separations(threads_);
    }

    /// After a pass: how many rows have been looked at.
    void end_screens() {
        open_ = 0;
        for (const workspace<T>& w : workspaces_)
            open_ += w.view.screen->open;
        if (model_.view().surveys)
            open_after_survey_ = open_;
        model_.end_survey();
        loaded_ = false;
    }

    int threads_;
    instruction_set set_;
    const kernel_table<T>& kernels_;
    std::int64_t block_rows_;
    aligned_array<T> x_, weights_;
    label_store<T> labels_;
    aligned_array<std::int32_t> homes_; // unit_view::homes
    aligned_array<T> guards_;           // unit_view::guards
    /// Rows looked at in the last pass, and in the last survey rows that got no guard; passes since that.
    std::int64_t open_ = 0, open_after_survey_ = 0, passes_ = 0;
    bool loaded_ = true; ///< since the last pass
    std::vector<workspace<T>> workspaces_;
    gmm_parameters current_, next_;
    packed_model<T> model_;
    std::optional<m_step> update_; ///< with the sums made when training begins: inference needs neither
    std::optional<fixed_accumulator> accumulator_;
    std::vector<double> inverse_; ///< 1 / scale
    std::mutex scatter_mutex_;
};

} // namespace

std::unique_ptr<gmm_engine> make_gmm(const context& ctx, const gmm_shape& shape, element_type precision) {
    if (precision == element_type::float32)
        return std::make_unique<engine<float>>(ctx, shape);
    return std::make_unique<engine<double>>(ctx, shape);
}

} // namespace elbo::kernels::cpu
