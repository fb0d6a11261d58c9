// log p(x|z) with its gradient, and means: kernels in the namespace of one instruction set. Formulas:
// kernels/math/likelihood; those that can be summed with less work than term by term are written out here.
#pragma once

#include "kernels/cpu/vae/kernel_table.hpp"
#include "kernels/cpu/vae/math.hpp"
#include "kernels/math/likelihood/families.hpp"

namespace elbo::kernels::cpu::ELBO_SIMD::networks {

/// Factors 1 + e^-|l| ≤ 2 of a product whose logarithm is taken once: far from overflow.
static_assert(group_panels * panel_vectors <= 64);

/// The first and the last panel of a group within a range.
struct group_range {
    std::int64_t first, last;
};
static group_range group_of(const panel_range& range, std::int64_t g) {
    const std::int64_t last = (g + 1) * group_panels;
    return {g * group_panels, last < range.last_panel ? last : range.last_panel};
}

/// What a group of panels of one row adds to log p, and to the second sum.
struct group_sum {
    double value, second = 0;
};

/// Of ln(1 + e^-|l|) the product of 1 + e^-|l| is kept: a factor rounds by at most 2⁻²⁴, which is what its logarithm is
/// off.
static group_sum sum_group(likelihoods::bernoulli, const likelihood_view& form, const target_view& target,
                           std::int64_t row, const panel_matrix& outputs, float scale, const likelihood_sums&,
                           const group_range& panels) {
    float_vector linear{}, product = broadcast(1.0f);
    for (std::int64_t p = panels.first; p < panels.last; ++p) {
        const float* x = target.x.at(p, target.row[row]);
        float* const out = outputs.at(p, row);
        const std::int64_t columns = form.dimensions - p * panel_width;
        for (int v = 0; v < panel_vectors; ++v) {
            const float_vector l = load(out + v * lanes<float>), of_x = load(x + v * lanes<float>);
            const float_vector e = exponential<float>(-absolute(l));
            const int32_vector inside = column_mask(v, columns);
            linear += (l > 0.0f ? of_x - 1.0f : of_x) * l;
            product *= inside ? e + 1.0f : broadcast(1.0f);
            if (scale != 0) {
                const float_vector probability = (l > 0.0f ? broadcast(1.0f) : e) / (e + 1.0f);
                store(out + v * lanes<float>, inside ? (of_x - probability) * scale : float_vector{});
            }
        }
    }
    return {sum_of(linear) - sum_of(logarithm<float>(product))};
}

/// −½ Σ (x − mean)²/σ² and Σ (x − mean)².
static group_sum sum_group(likelihoods::gaussian, const likelihood_view& form, const target_view& target,
                           std::int64_t row, const panel_matrix& outputs, float scale, const likelihood_sums&,
                           const group_range& panels) {
    double_vector scaled{}, square{};
    for (std::int64_t p = panels.first; p < panels.last; ++p) {
        const float* x = target.x.at(p, target.row[row]);
        float* const out = outputs.at(p, row);
        for (int v = 0; v < panel_width; v += lanes<float>) {
            const float_vector difference = load(x + v) - load(out + v);
            const float_vector gradient = difference * load(form.prepared + p * panel_width + v);
            const double_vector low = widen_low(difference), high = widen_high(difference);
            scaled += low * widen_low(gradient) + high * widen_high(gradient);
            square += low * low + high * high;
            if (scale != 0)
                store(out + v, gradient * scale);
        }
    }
    return {-0.5 * sum_lanes(scaled), sum_lanes(square)};
}

/// A row of panels, number by number.
struct row_numbers {
    const panel_matrix& m;
    std::int64_t row;
    float& operator[](std::int64_t j) const { return m.at(j / panel_width, row)[j % panel_width]; }
};

static float exponential_of(float x) {
    return exponential<float>(broadcast(x))[0];
}

/// Largest logit of a block, and Σ e^(l − largest).
struct block_sum {
    float largest, sum;
};
static block_sum sum_block(const row_numbers& out, std::int64_t first, std::int64_t size) {
    block_sum block{out[first], 0};
    for (std::int64_t j = first + 1; j < first + size; ++j)
        block.largest = out[j] > block.largest ? out[j] : block.largest;
    for (std::int64_t j = first; j < first + size; ++j)
        block.sum += exponential_of(out[j] - block.largest);
    return block;
}

static void score(likelihoods::categorical, const likelihood_view& form, const target_view& target,
                  const panel_matrix& outputs, float scale, const likelihood_sums& sums, const panel_range& range) {
    for (std::int64_t r = range.first_row; r < range.last_row; ++r) {
        const row_numbers out{outputs, r}, x{target.x, target.row[r]};
        double value = 0;
        std::int64_t first = 0;
        for (std::int64_t b = 0; b < form.block_count; first += form.blocks[b], ++b) {
            const block_sum block = sum_block(out, first, form.blocks[b]);
            const float log_sum = logarithm<float>(broadcast(block.sum))[0];
            for (std::int64_t j = first; j < first + form.blocks[b]; ++j) {
                const float shifted = out[j] - block.largest;
                if (x[j] > 0)
                    value += x[j] * (shifted - log_sum);
                if (scale != 0)
                    out[j] = scale * (x[j] - exponential_of(shifted) / block.sum);
            }
        }
        sums.value[r * sums.groups] = value;
    }
}

/// Numbers v ... of panel p of a row, as a likelihood sees them.
static observed_number<vector_math> observed(const likelihood_view& form, const float* x, float total,
                                             const float* output, std::int64_t p, int v) {
    const std::int64_t column = p * panel_width + v;
    observed_number<vector_math> o{load(x + v), load(output + v)};
    o.total = broadcast(total);
    o.form = form.mean;
    if (form.own != nullptr) {
        o.own = load(form.own + column);
        o.prepared = load(form.prepared + column);
    }
    return o;
}

/// Any other, term by term.
template <class Family>
static group_sum sum_group(Family, const likelihood_view& form, const target_view& target, std::int64_t row,
                           const panel_matrix& outputs, float scale, const likelihood_sums& sums,
                           const group_range& panels) {
    double_vector value{}, second{};
    const float total = target.total ? target.total[target.row[row]] : 1.0f;
    for (std::int64_t p = panels.first; p < panels.last; ++p) {
        const float* x = target.x.at(p, target.row[row]);
        float* const out = outputs.at(p, row);
        for (int v = 0; v < panel_width; v += lanes<float>) {
            auto term = Family::template term<vector_math>(observed(form, x, total, out, p, v));
            const int32_vector inside = column_mask(v / lanes<float>, form.dimensions - p * panel_width);
            for (float_vector* part : {&term.value, &term.gradient, &term.second})
                *part = inside ? *part : float_vector{};
            value += widen_low(term.value) + widen_high(term.value);
            second += widen_low(term.second) + widen_high(term.second);
            if (scale != 0)
                store(out + v, term.gradient * scale);
            if (sums.own_gradient.data)
                store(sums.own_gradient.at(p, row) + v, term.second);
        }
    }
    return {sum_lanes(value), sum_lanes(second)};
}

template <class Family>
static void score(Family family, const likelihood_view& form, const target_view& target, const panel_matrix& outputs,
                  float scale, const likelihood_sums& sums, const panel_range& range) {
    for (std::int64_t g = range.first_panel / group_panels; g * group_panels < range.last_panel; ++g)
        for (std::int64_t r = range.first_row; r < range.last_row; ++r) {
            const group_sum sum = sum_group(family, form, target, r, outputs, scale, sums, group_of(range, g));
            sums.value[r * sums.groups + g] = sum.value;
            sums.second[r * sums.groups + g] = sum.second;
        }
}

template <class Family>
static void row_means(Family, const likelihood_view& form, const panel_matrix& outputs, std::int64_t row,
                      const panel_range& range) {
    for (std::int64_t p = range.first_panel; p < range.last_panel; ++p)
        for (int v = 0; v < panel_width; v += lanes<float>) {
            float* const out = outputs.at(p, row);
            store(out + v, Family::template mean<vector_math>(observed(form, out, 1.0f, out, p, v)));
        }
}

static void row_means(likelihoods::categorical, const likelihood_view& form, const panel_matrix& outputs,
                      std::int64_t row, const panel_range&) {
    const row_numbers out{outputs, row};
    std::int64_t first = 0;
    for (std::int64_t b = 0; b < form.block_count; first += form.blocks[b], ++b) {
        const block_sum block = sum_block(out, first, form.blocks[b]);
        for (std::int64_t j = first; j < first + form.blocks[b]; ++j)
            out[j] = exponential_of(out[j] - block.largest) / block.sum;
    }
}

static void likelihood(const likelihood_view& form, const target_view& target, const panel_matrix& outputs, float scale,
                       const likelihood_sums& sums, const panel_range& range) {
    with_likelihood(form.family, [&](auto family) { score(family, form, target, outputs, scale, sums, range); });
}

static void means(const likelihood_view& form, const panel_matrix& outputs, const panel_range& range) {
    with_likelihood(form.family, [&](auto family) {
        for (std::int64_t r = range.first_row; r < range.last_row; ++r)
            row_means(family, form, outputs, r, range);
    });
}

static void weigh(float* g, const double* weights, float factor, std::int64_t rows, double* sums) {
    for (std::int64_t r = 0; r < rows; ++r)
        for (int i = 0; i < panel_width; ++i) {
            float& value = g[r * panel_width + i];
            if (sums)
                sums[i] += weights[r] * value * value;
            value *= static_cast<float>(weights[r]) * factor;
        }
}

} // namespace elbo::kernels::cpu::ELBO_SIMD::networks
