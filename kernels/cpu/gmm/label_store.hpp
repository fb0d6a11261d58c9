// What is known of the components of the resident rows, in the layout of the kernels.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cpu/core/units.hpp"
#include "kernels/cpu/core/workspace.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>

namespace elbo::kernels::cpu {

/// Labels [slots] or log-factors in strips [slots / 64][k][64]; nothing by default. Slots come in whole strips.
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

} // namespace elbo::kernels::cpu
