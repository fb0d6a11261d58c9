// The reference back end of contract/row_engine.hpp: float64, one thread, one row after the other.
#pragma once

#include "elbo/error.hpp"
#include "kernels/contract/row_engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <new>
#include <vector>

namespace elbo::kernels {

/// A Model is made from parameters, adds a row of weight w > 0 to the sums of a unit, and writes the results of a row
/// as those of row i and returns log p(x̃).
template <class Parameters, class Model>
class reference_row_engine final : public row_engine<Parameters> {
public:
    using typename row_engine<Parameters>::shape_type;
    using row_engine<Parameters>::row_engine;
    using row_engine<Parameters>::dimensions;

    std::int64_t bytes_needed(const shape_type& s, std::int64_t rows, bool) const override {
        return 8 * (rows * (dimensions + 1) + 4 * sum_count(s) + parameter_numbers(s));
    }

    void reserve(std::int64_t rows, bool) override {
        try {
            x_.assign(rows * dimensions, 0);
            weights_.assign(rows, 1);
        } catch (const std::bad_alloc&) {
            throw out_of_memory(fmt::format("{} rows of {} numbers do not fit in memory", rows, dimensions),
                                static_cast<std::uint64_t>(8 * rows * (dimensions + 1)), 0);
        }
    }

    void load(const input_rows& in, const frame& f, std::int64_t slot) override {
        normalize_host_rows(in, f, &x_[slot * dimensions], &weights_[slot]);
    }

    void set_parameters(const Parameters& p) override {
        shape_ = p.shape;
        model_ = Model(p);
    }

    void clear_sums(const sum_bounds& bounds) override {
        sums_ = {sum_count(shape_), scalar_sums(shape_), bounds.component, bounds.scalar};
    }

    void accumulate(std::int64_t first, std::int64_t rows) override {
        std::vector<double> partial(sum_count(shape_));
        for (std::int64_t begin = first; begin < first + rows; begin += unit_rows) {
            std::ranges::fill(partial, 0.0);
            for (std::int64_t n = begin; n < std::min(begin + unit_rows, first + rows); ++n)
                if (weights_[n] > 0)
                    model_.add(&x_[n * dimensions], weights_[n], partial.data());
            sums_.add(partial.data());
        }
    }

    std::vector<double> sums() override { return sums_.values(); }

    std::int64_t infer(std::int64_t first, std::int64_t rows, const row_results& to) override {
        std::int64_t far = -1;
        for (std::int64_t i = rows - 1; i >= 0; --i)
            if (!std::isfinite(model_.write(&x_[(first + i) * dimensions], i, to)))
                far = i;
        return far;
    }

private:
    std::vector<double> x_, weights_;
    shape_type shape_;
    Model model_;
    fixed_sums sums_;
};

} // namespace elbo::kernels
