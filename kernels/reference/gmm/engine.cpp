#include "kernels/reference/gmm/engine.hpp"

#include "elbo/error.hpp"
#include "kernels/math/normalize_statistics.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <new>

namespace elbo::kernels::reference {

namespace {

using io::element;

double weight_of(const input_rows& in, std::int64_t i) {
    return in.weights.data ? element(in.weights, i, 0) * in.weight_scale : 1;
}

class reference_gmm final : public gmm_engine {
public:
    explicit reference_gmm(const gmm_shape& s) : gmm_engine(s), d_(s.dimensions), K_(s.components) {}

    std::int64_t summarize(const input_rows& in, unit_summaries& out) override {
        out.clear(d_);
        for (std::int64_t first = 0; first < in.x.rows; first += unit_rows) {
            const std::int64_t bad = summarize_unit(in, first, std::min(unit_rows, in.x.rows - first), out);
            if (bad >= 0)
                return bad;
        }
        return -1;
    }

    std::int64_t bytes_needed(std::int64_t rows, bool, sample_labels::kind labels) const override {
        return 8 * (rows * (d_ + 1) + 4 * sum_count(shape) + 3 * K_ * (d_ + 1) + 3 * factor_numbers()) +
               rows * label_columns(labels, K_) * (labels == sample_labels::kind::factors ? 8 : 4);
    }

    void reserve(std::int64_t rows, bool, sample_labels::kind labels) override {
        try {
            x_.assign(rows * d_, 0);
            weights_.assign(rows, 1);
            labels_.assign(labels == sample_labels::kind::labels ? rows : 0, -1);
            log_factors_.assign(labels == sample_labels::kind::factors ? rows * K_ : 0, 0);
        } catch (const std::bad_alloc&) {
            throw out_of_memory(fmt::format("{} rows of {} numbers do not fit in memory", rows, d_),
                                bytes_needed(rows, true, labels), 0);
        }
    }

    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        for (std::int64_t i = 0; i < in.x.rows; ++i) {
            for (std::int64_t j = 0; j < d_; ++j)
                x_[(slot + i) * d_ + j] = (element(in.x, i, j) - f.centre[j]) / f.scale[j];
            weights_[slot + i] = weight_of(in, i);
        }
        load_labels(in, slot);
    }

    void clear_sums(double component_bound, double scalar_bound) override {
        sums_ = fixed_sums(sum_count(shape), scalar_count, component_bound, scalar_bound);
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        std::vector<double> partial(sum_count(shape));
        for (std::int64_t begin = first; begin < first + rows; begin += unit_rows) {
            std::ranges::fill(partial, 0.0);
            accumulate_rows(shape, current_, &x_[begin * d_], &weights_[begin],
                            std::min(unit_rows, first + rows - begin), partial.data(), labels_from(begin));
            sums_.add(partial.data());
        }
    }

    void accumulate_scatter(std::int64_t first, std::int64_t rows, fixed_sums& scatter) override {
        std::vector<double> partial(scatter.count());
        for (std::int64_t begin = first; begin < first + rows; begin += unit_rows) {
            std::ranges::fill(partial, 0.0);
            for (std::int64_t n = begin; n < std::min(begin + unit_rows, first + rows); ++n)
                add_scatter(&x_[n * d_], weights_[n], partial);
            scatter.add(partial.data());
        }
    }

    fixed_sums sums() override { return sums_; }
    void set_sums(const fixed_sums& s) override { sums_ = s; }

    void set_parameters(const gmm_parameters& p) override {
        current_ = with_offsets(shape, p);
        reseeds_.assign(K_, 0);
    }
    gmm_parameters parameters() override { return current_.values; }

    std::vector<std::int32_t> reseeds() override { return reseeds_; }
    void set_reseeds(const std::vector<std::int32_t>& times) override { reseeds_ = times; }

    update_outcome update(const update_rule& rule) override {
        return m_step(shape, current_.values, normalized_sums(sums_, shape), rule, reseeds_, next_);
    }
    void adopt() override { current_ = with_offsets(shape, next_); }

    void infer(std::int64_t first, std::int64_t rows, const inference_results& to) override {
        std::vector<double> lp(K_), r(K_), factors(K_);
        for (std::int64_t i = 0; i < rows; ++i) {
            const double* log_factors = log_factors_of(labels_from(first), current_, i, factors.data());
            const double lse = row_posterior(shape, current_, &x_[(first + i) * d_], lp.data(), r.data(), log_factors);
            if (to.log_density.data)
                *to.log_density.row(i) = lse - to.shift;
            if (to.responsibilities.data)
                std::ranges::copy(r, to.responsibilities.row(i));
            if (to.assignment.data)
                *to.assignment.row(i) = static_cast<std::int32_t>(std::ranges::max_element(lp) - lp.begin());
            for (std::int64_t k = 0; to.log_joint.data && k < K_; ++k)
                to.log_joint(i, k) = lp[k] - to.shift;
        }
    }

private:
    void load_labels(const input_rows& in, std::int64_t slot) {
        const bool known = in.label_kind != sample_labels::kind::none;
        for (std::int64_t i = 0; i < in.x.rows; ++i) {
            if (!labels_.empty())
                labels_[slot + i] = known ? static_cast<std::int32_t>(element(in.labels, i, 0)) : -1;
            for (std::int64_t k = 0; k < K_ && !log_factors_.empty(); ++k)
                log_factors_[(slot + i) * K_ + k] = known ? std::log(element(in.labels, i, k)) : 0;
        }
    }
    row_labels labels_from(std::int64_t slot) const {
        return {labels_.empty() ? nullptr : &labels_[slot], log_factors_.empty() ? nullptr : &log_factors_[slot * K_]};
    }

    std::int64_t factor_numbers() const { return gmm::covariance_size(shape.family, K_, d_); }

    std::int64_t summarize_unit(const input_rows& in, std::int64_t first, std::int64_t rows, unit_summaries& out) {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        double* const line = out.append(1); // of zeros
        double *mean = line + summary_scalars, *m2 = mean + d_, *least = m2 + d_, *most = least + d_;
        std::fill_n(least, d_, infinity), std::fill_n(most, d_, -infinity);
        line[summary_smallest] = infinity;
        for (std::int64_t i = first; i < first + rows; ++i) {
            const double w = weight_of(in, i);
            if (std::isnan(w) || w < line[summary_smallest])
                line[summary_smallest] = w; // a NaN enters and stays, since nothing is less
            line[summary_largest] = std::max(line[summary_largest], w);
            line[summary_weight] += w > 0 ? w : 0;
            line[summary_positive] += w > 0;
            for (std::int64_t j = 0; j < d_; ++j) {
                const double x = element(in.x, i, j);
                if (!std::isfinite(x))
                    return i * d_ + j;
                if (!(w > 0))
                    continue;
                const double step = x - mean[j]; // West's update of a weighted mean and Σ w (x − mean)²
                mean[j] += step * w / line[summary_weight];
                m2[j] += w * step * (x - mean[j]);
                least[j] = std::min(least[j], x);
                most[j] = std::max(most[j], x);
            }
        }
        return -1;
    }

    void add_scatter(const double* x, double w, std::vector<double>& partial) const {
        const gmm::family_geometry g = geometry(shape.family);
        for (std::int64_t i = 0; i < d_; ++i)
            for (std::int64_t j = i; j < (g.matrix() ? d_ : i + 1); ++j)
                partial[g.matrix() ? packed_upper(i, j, d_) : g.at(i, j, d_)] += w * x[i] * x[j];
    }

    std::int64_t d_, K_;
    std::vector<double> x_, weights_;
    std::vector<std::int32_t> labels_; // empty where none were reserved
    std::vector<double> log_factors_;  // the same
    reference::parameters current_;
    gmm_parameters next_;
    std::vector<std::int32_t> reseeds_;
    fixed_sums sums_;
};

} // namespace

std::unique_ptr<gmm_engine> make_gmm(const context&, const gmm_shape& shape, element_type) {
    return std::make_unique<reference_gmm>(shape);
}

} // namespace elbo::kernels::reference
