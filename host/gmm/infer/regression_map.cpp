#include "host/gmm/infer/regression_map.hpp"

#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/check_array.hpp"
#include "kernels/shared/blas_threads.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <lapacke.h>
#include <limits>

namespace elbo::gmm {

namespace {

using lane = regression_map::lane;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double log_2pi = 1.83787706640934548356;

/// −(U_ba U_aa⁻¹)ᵀ [a x b] of a reordered factor.
std::vector<double> gain_of(const std::vector<double>& u, std::int64_t b, std::int64_t a) {
    const std::int64_t d = b + a;
    std::vector<double> product = block(u, d, 0, b, b, a), result(a * b);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(b),
                static_cast<int>(a), -1, &u[b * d + b], static_cast<int>(d), product.data(), static_cast<int>(a));
    for (std::int64_t i = 0; i < b; ++i)
        for (std::int64_t j = 0; j < a; ++j)
            result[j * b + i] = product[i * a + j];
    return result;
}

/// VᵀV of V = U_aa⁻¹, or its diagonal.
std::vector<double> spread_of(const std::vector<double>& u, std::int64_t b, std::int64_t a, bool whole) {
    std::vector<double> v = block(u, b + a, b, a, b, a);
    const int size = static_cast<int>(a);
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'N', size, v.data(), size);
    std::vector<double> result(whole ? a * a : a, 0);
    for (std::int64_t i = 0; i < a; ++i)
        for (std::int64_t j = whole ? 0 : i; j <= i; ++j)
            for (std::int64_t l = 0; l <= j; ++l)
                result[whole ? i * a + j : i] += v[l * a + i] * v[l * a + j];
    for (std::int64_t i = 0; whole && i < a; ++i)
        for (std::int64_t j = i + 1; j < a; ++j)
            result[i * a + j] = result[j * a + i];
    return result;
}

void append(std::vector<double>& to, const std::vector<double>& values) {
    to.insert(to.end(), values.begin(), values.end());
}

} // namespace

/// Σ of the weights so far, and what the next component moves mean and spread by (D. H. D. West, "Updating mean and
/// variance estimates", CACM 22, 1979): no number cancels, whatever the order of the components.
struct regression_map::moving_sum {
    lane total{}, step{}, spread{}, weight{};

    void add(std::int64_t k, std::int64_t components, const std::vector<double>& weights) {
        for (std::int64_t l = 0; l < lanes; ++l) {
            weight[l] = weights[l * components + k];
            const double sum = total[l] + weight[l];
            step[l] = weight[l] > 0 ? weight[l] / sum : 0;
            spread[l] = step[l] * total[l];
            total[l] = sum;
        }
    }
};

regression_map::regression_map(const model& m, const std::vector<std::int64_t>& known, const regress_options& options)
    : b_(std::ssize(known)), a_(m.dimensions() - b_), k_(m.components()), tied_(is_tied(m.shape())),
      matrices_(structure_of(m.shape()) == structure::full), covariances_(options.covariances) {
    const std::int64_t d = m.dimensions();
    check_columns(known, d);
    expects(a_ > 0,
            [&] { return fmt::format("columns names all {} dimensions: expected at least one to be left", d); });
    const std::vector<std::int64_t> others = other_columns(known, d);
    known_means_ = gather(m.means(), d, known);
    rest_means_ = gather(m.means(), d, others);
    const kernels::one_blas_thread one;
    if (matrices_)
        add_factors(m, known, others);
    else
        add_diagonals(m, known, others);
}

void regression_map::add_factors(const model& m, const std::vector<std::int64_t>& known,
                                 const std::vector<std::int64_t>& rest) {
    double log_determinant = 0;
    for (std::int64_t k = 0; k < k_; ++k) {
        if (k < factor_count(m)) {
            const std::vector<double> u = reordered_factor(m, k, known, rest);
            log_determinant = log_sum(diagonal_of(u, b_ + a_, 0, b_));
            for (std::int64_t j = 0; j < b_; ++j)
                for (std::int64_t i = 0; i < b_; ++i)
                    factors_.push_back(u[i * (b_ + a_) + j]);
            append(gains_, gain_of(u, b_, a_));
            append(spreads_, spread_of(u, b_, a_, covariances_));
        }
        log_constants_.push_back(std::log(m.weights()[k]) + log_determinant);
    }
}

void regression_map::add_diagonals(const model& m, const std::vector<std::int64_t>& known,
                                   const std::vector<std::int64_t>& rest) {
    const std::int64_t d = b_ + a_;
    for (std::int64_t k = 0; k < k_; ++k) {
        const std::vector<double> diagonal = factor_diagonal(m, k), of_known = gather(diagonal, d, known);
        log_constants_.push_back(std::log(m.weights()[k]) + log_sum(of_known));
        if (k >= factor_count(m))
            continue;
        append(factors_, of_known);
        const std::vector<double> of_rest = gather(diagonal, d, rest);
        for (std::int64_t i = 0; i < a_; ++i)
            for (std::int64_t j = covariances_ ? 0 : i; j < (covariances_ ? a_ : i + 1); ++j)
                spreads_.push_back(i == j ? 1 / of_rest[i] / of_rest[i] : 0);
    }
}

regression_map::scratch regression_map::make_scratch() const {
    scratch s;
    for (std::vector<lane>* of_known : {&s.x, &s.offsets})
        of_known->resize(b_);
    for (std::vector<lane>* of_rest : {&s.mean, &s.component})
        of_rest->resize(a_);
    s.spread.resize(covariances_ ? a_ * a_ : a_);
    s.radii.resize(lanes * k_);
    s.weights.resize(lanes * k_);
    return s;
}

void regression_map::set_offsets(std::int64_t k, scratch& s) const {
    for (std::int64_t i = 0; i < b_; ++i)
        for (std::int64_t l = 0; l < lanes; ++l)
            s.offsets[i][l] = s.x[i][l] - known_means_[k * b_ + i];
}

/// ‖U_bbᵀ offset‖².
lane regression_map::squares(std::int64_t k, const std::vector<lane>& offsets) const {
    const double* factor = &factors_[factor_of(k) * (matrices_ ? b_ * b_ : b_)];
    lane sum{};
    for (std::int64_t j = 0; j < b_; ++j) {
        lane t{};
        if (matrices_) {
            for (std::int64_t i = 0; i <= j; ++i)
                for (std::int64_t l = 0; l < lanes; ++l)
                    t[l] += factor[j * b_ + i] * offsets[i][l];
        } else {
            for (std::int64_t l = 0; l < lanes; ++l)
                t[l] = factor[j] * offsets[j][l];
        }
        for (std::int64_t l = 0; l < lanes; ++l)
            sum[l] += t[l] * t[l];
    }
    return sum;
}

/// Distances, also where their squares overflow; infinity where they do themselves.
void regression_map::set_radii(std::int64_t k, scratch& s) const {
    constexpr double largest_square = 1e300, scale = 0x1p600;
    set_offsets(k, s);
    const lane near = squares(k, s.offsets);
    for (std::int64_t l = 0; l < lanes; ++l)
        s.radii[l * k_ + k] = std::sqrt(near[l]);
    if (std::ranges::all_of(near, [](double square) { return square < largest_square; }))
        return;
    for (lane& offset : s.offsets)
        for (double& value : offset)
            value /= scale;
    const lane far = squares(k, s.offsets);
    for (std::int64_t l = 0; l < lanes; ++l)
        if (!(near[l] < largest_square))
            s.radii[l * k_ + k] = far[l] < infinity ? std::sqrt(far[l]) * scale : infinity;
}

/// E[x_a | x_b] of a component.
void regression_map::set_means(std::int64_t k, scratch& s) const {
    for (std::int64_t j = 0; j < a_; ++j)
        s.component[j].fill(rest_means_[k * a_ + j]);
    if (!matrices_)
        return;
    set_offsets(k, s);
    for (std::int64_t j = 0; j < a_; ++j) {
        const double* gain = &gains_[(factor_of(k) * a_ + j) * b_];
        lane sum{};
        for (std::int64_t i = 0; i < b_; ++i)
            for (std::int64_t l = 0; l < lanes; ++l)
                sum[l] += gain[i] * s.offsets[i][l];
        for (std::int64_t l = 0; l < lanes; ++l)
            s.component[j][l] += sum[l];
    }
}

void regression_map::add_component(std::int64_t k, scratch& s, moving_sum& total) const {
    total.add(k, k_, s.weights);
    if (std::ranges::all_of(total.weight, [](double w) { return w == 0; }))
        return;
    set_means(k, s);
    // Distances to the mean so far; a component without weight may be anywhere.
    for (std::int64_t j = 0; j < a_; ++j)
        for (std::int64_t l = 0; l < lanes; ++l)
            s.component[j][l] = total.weight[l] > 0 ? s.component[j][l] - s.mean[j][l] : 0;
    const double* own = &spreads_[factor_of(k) * std::ssize(s.spread)];
    for (std::int64_t i = 0; i < a_; ++i)
        for (std::int64_t j = covariances_ ? 0 : i; j <= i; ++j) {
            const std::int64_t at = covariances_ ? i * a_ + j : i;
            for (std::int64_t l = 0; l < lanes; ++l)
                s.spread[at][l] += total.weight[l] * own[at] + total.spread[l] * s.component[i][l] * s.component[j][l];
        }
    for (std::int64_t j = 0; j < a_; ++j)
        for (std::int64_t l = 0; l < lanes; ++l)
            s.mean[j][l] += total.step[l] * s.component[j][l];
}

void regression_map::store(const scratch& s, std::int64_t row, const output& out) const {
    for (std::int64_t j = 0; j < a_; ++j) {
        out.means[row * a_ + j] = s.mean[j][row];
        out.variances[row * a_ + j] = s.spread[covariances_ ? j * a_ + j : j][row];
    }
    for (std::int64_t i = 0; out.covariances && i < a_; ++i)
        for (std::int64_t j = 0; j < a_; ++j)
            out.covariances[(row * a_ + i) * a_ + j] = s.spread[std::max(i, j) * a_ + std::min(i, j)][row];
    if (out.responsibilities)
        std::copy_n(&s.weights[row * k_], k_, out.responsibilities + row * k_);
}

std::int64_t regression_map::apply(const double* x, std::int64_t rows, scratch& s, const output& out) const {
    for (std::int64_t i = 0; i < b_; ++i)
        for (std::int64_t l = 0; l < lanes; ++l) // a last tile repeats its last row
            s.x[i][l] = x[std::min(l, rows - 1) * b_ + i];
    for (std::int64_t k = 0; k < k_; ++k)
        set_radii(k, s);
    std::array<bool, lanes> fine{};
    for (std::int64_t l = 0; l < lanes; ++l) {
        double* weights = &s.weights[l * k_];
        const double log_sum = reweight(log_constants_.data(), &s.radii[l * k_], k_, weights);
        fine[l] = !std::isnan(log_sum) && std::isfinite(weights[0]);
        if (l < rows)
            out.log_density[l] = log_sum - 0.5 * static_cast<double>(b_) * log_2pi;
        if (!fine[l])
            std::fill_n(weights, k_, 0.0);
    }
    for (std::vector<lane>* numbers : {&s.mean, &s.spread})
        std::ranges::fill(*numbers, lane{});
    moving_sum total;
    for (std::int64_t k = 0; k < k_; ++k)
        add_component(k, s, total);
    const auto finite = [](double v) { return std::isfinite(v); };
    for (std::int64_t l = 0; l < rows; ++l) {
        store(s, l, out);
        if (!fine[l] || !std::all_of(out.means + l * a_, out.means + (l + 1) * a_, finite) ||
            !std::all_of(out.variances + l * a_, out.variances + (l + 1) * a_, finite))
            return l;
    }
    return -1;
}

} // namespace elbo::gmm
