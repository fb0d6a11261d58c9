// From the log-densities of a block to responsibilities: maximum, active set, log-sum-exp, entropy (docs/kernels.md
// section 2).
#pragma once

#include "kernels/cpu/core/simd.hpp"
#include "kernels/cpu/gmm/kernel_table.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD {

/// Sums over the rows of a block, in float64 lanes.
struct row_sums {
    double_vector log_likelihood{}, entropy{}, weight{}, log_factors{};
};

/// Terms of a float32 sum over components that are added before the partial sum is put aside.
inline constexpr std::int64_t component_chain = 64;

/// Σ w (high + low) in float64: the two parts of a log-density are added there.
static inline void add_weighted(double_vector& sum, float_vector w, float_vector high, float_vector low) {
    sum += widen_low(w) * (widen_low(high) + widen_low(low));
    sum += widen_high(w) * (widen_high(high) + widen_high(low));
}
static inline void add_weighted(double_vector& sum, double_vector w, double_vector high, double_vector low) {
    sum += w * (high + low);
}

template <class T>
struct row_result {
    vec<T> largest;  ///< m_n
    vec<T> sum;      ///< Σ e^(lp − m)
    vec<T> expected; ///< Σ e^(lp − m) (lp − m)
};

/// The terms of one vector of rows, whose log-densities are `count` entries 64 apart.
template <class T>
class column_terms {
public:
    [[gnu::always_inline]] column_terms(const T* lp, std::int64_t count, T threshold, vec_mask<T> counted)
        : counted_(counted), largest_(broadcast(simd<T>::lowest)) {
        for (std::int64_t i = 0; i < count; ++i)
            largest_ = maximum(largest_, load(lp + i * strip_rows));
        smallest_ = largest_ - threshold;
    }

    /// Replaces log-densities by their exponentials, with `half` by e^((lp − m)/2), zero outside the active set and
    /// where not counted, and adds them. Returns where they are not zero.
    template <bool half>
    [[gnu::always_inline]] unsigned take(T* lp) {
        const vec<T> value = load(lp);
        const vec_mask<T> in = (value >= smallest_) & counted_;
        const unsigned bits = mask_bits(in);
        if (bits == 0) {
            store(lp, vec<T>{});
            return bits;
        }
        const vec<T> below = in ? value - largest_ : vec<T>{};
        vec<T> e = exponential<T>(half ? T(0.5) * below : below);
        e = in ? e : vec<T>{};
        store(lp, e);
        const vec<T> r = half ? e * e : e;
        part_ += r;
        part_expected_ += r * below;
        return bits;
    }

    /// Puts the partial sums of some rows aside.
    [[gnu::always_inline]] void end_chain(vec_mask<T> rows) {
        sum_ += rows ? part_ : vec<T>{};
        expected_ += rows ? part_expected_ : vec<T>{};
        part_ = rows ? vec<T>{} : part_;
        part_expected_ = rows ? vec<T>{} : part_expected_;
    }

    row_result<T> result() const { return {largest_, maximum(sum_, broadcast(simd<T>::tiny)), expected_}; }

private:
    vec_mask<T> counted_;
    vec<T> largest_, smallest_, sum_{}, expected_{}, part_{}, part_expected_{};
};

/// One vector of rows: lp is the first of its column of the slab, which column_terms::take replaces. active[k] grows by
/// the rows in whose active set k is.
template <class T, bool half>
static inline row_result<T> exponentiate_column(T* lp, std::int64_t components, T threshold, vec_mask<T> counted,
                                                std::int32_t* active) {
    column_terms<T> terms(lp, components, threshold, counted);
    for (std::int64_t first = 0; first < components; first += component_chain) {
        const std::int64_t end = first + component_chain < components ? first + component_chain : components;
        for (std::int64_t k = first; k < end; ++k)
            if (const unsigned bits = terms.template take<half>(lp + k * strip_rows); bits != 0)
                active[k] += __builtin_popcount(bits);
        terms.end_chain(vec_mask<T>{} == 0);
    }
    return terms.result();
}

/// The row rule for one vector of rows, whose `count` log-densities become w r, with `half` √(w r), 64 apart;
/// exponentiate(counted) replaces them by their exponentials.
template <class T, bool half, class Exponentiate>
static inline void weigh_column(T* lp, std::int64_t count, const T* weights, row_sums& sums,
                                const Exponentiate& exponentiate) {
    const vec<T> w = load(weights);
    const vec_mask<T> counted = w > T(0);
    const row_result<T> row = exponentiate(counted);
    const vec<T> log_sum = counted ? logarithm<T>(row.sum) : vec<T>{};
    const vec<T> largest = counted ? row.largest : vec<T>{};
    add_weighted(sums.log_likelihood, w, largest, log_sum);
    add_weighted(sums.entropy, w, log_sum, -row.expected / row.sum);
    add_weighted(sums.weight, w, broadcast(T(1)), vec<T>{});
    const vec<T> scale = half ? square_root(w / row.sum) : w / row.sum;
    for (std::int64_t i = 0; i < count; ++i)
        store(lp + i * strip_rows, load(lp + i * strip_rows) * scale);
}

/// The row rule for the strips of a block: replaces log-densities by w r, with `half` by √(w r), which the rank update
/// of full covariances takes. Rows of weight zero get zero and enter no sum. active[k] counts the rows in whose active
/// set k is.
template <class T, bool half>
static void row_rule(const model_view<T>& m, const T* weights, std::int64_t strips, T* slab_first, std::int32_t* active,
                     row_sums& sums) {
    const std::int64_t slab = slab_rows(m.components) * strip_rows;
    for (std::int64_t k = 0; k < m.components; ++k)
        active[k] = 0;
    for (std::int64_t s = 0; s < strips; ++s)
        for (int v = 0; v < strip_rows; v += lanes<T>) {
            T* lp = slab_first + s * slab + v;
            weigh_column<T, half>(lp, m.components, weights + s * strip_rows + v, sums, [&](vec_mask<T> counted) {
                return exponentiate_column<T, half>(lp, m.components, m.threshold, counted, active);
            });
        }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD
