// Rows through a mixture's regression on known columns: read in batches, shared among threads in tiles.
#include "elbo/gmm/regress.hpp"

#include "host/check.hpp"
#include "host/gmm/algebra/factor.hpp"
#include "host/gmm/model/check_array.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/blas_threads.hpp"
#include "kernels/shared/memory.hpp"
#include "kernels/shared/threads/parallel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace elbo::gmm {

namespace {

constexpr double log_2pi = 1.83787706640934548356;

constexpr std::int64_t lanes = 8; ///< rows of a tile
using lane = std::array<double, lanes>;

void append(std::vector<double>& to, const std::vector<double>& values) {
    to.insert(to.end(), values.begin(), values.end());
}

/// Σ of the weights so far, and what the next component moves mean and spread by (D. H. D. West, "Updating mean and
/// variance estimates", CACM 22, 1979): no number cancels, whatever the order of the components.
struct moving_sum {
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

/// What a mixture makes of known columns, component by component, factored once for all rows. With the columns of a
/// factor in the order (b, a), U = (U_bb U_ba; 0 U_aa) (host/gmm/algebra/algebra.cpp), a component has
///     ‖U_bbᵀ (x_b − μ_b)‖ as distance,  m = μ_a − (U_ba U_aa⁻¹)ᵀ (x_b − μ_b),  (U_aa U_aaᵀ)⁻¹ as covariance.
/// Rows go through in tiles whose lanes do not touch each other, so that a row has the same bits in any place of any
/// tile.
class regression_map {
public:
    /// Throws invalid_argument: see regress().
    regression_map(const model& m, const std::vector<std::int64_t>& known, const regress_options& options)
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

    std::int64_t known() const { return b_; }
    std::int64_t rest() const { return a_; }
    std::int64_t components() const { return k_; }

    /// Memory of one thread.
    struct scratch {
        std::vector<lane> x, offsets;      ///< [b]
        std::vector<lane> mean, component; ///< [a]
        std::vector<lane> spread;          ///< [a], or with covariances [a x a] of which j <= i
        std::vector<double> radii;         ///< [lanes x k]
        std::vector<double> weights;       ///< [lanes x k]
    };
    scratch make_scratch() const {
        const std::vector<lane> of_known(b_), of_rest(a_);
        const std::vector<double> by_component(lanes * k_);
        return {of_known,     of_known,    of_rest, of_rest, std::vector<lane>(covariances_ ? a_ * a_ : a_),
                by_component, by_component};
    }

    /// Where the results of a tile go; null where they are not wanted.
    struct output {
        double *means, *variances, *covariances, *log_density, *responsibilities;
    };
    /// The moments of `rows` rows, at most `lanes`, of the known columns [rows x b]. Returns the first whose moments
    /// are not finite, −1 where all are.
    std::int64_t apply(const double* x, std::int64_t rows, scratch& s, const output& out) const {
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

private:
    std::int64_t factor_of(std::int64_t k) const { return tied_ ? 0 : k; }

    void add_factors(const model& m, const std::vector<std::int64_t>& known, const std::vector<std::int64_t>& rest) {
        double log_determinant = 0;
        for (std::int64_t k = 0; k < k_; ++k) {
            if (k < factor_count(m)) {
                const std::vector<double> u = reordered_factor(m, k, known, rest);
                log_determinant = log_sum(diagonal_of(u, b_ + a_, 0, b_));
                for (std::int64_t j = 0; j < b_; ++j)
                    for (std::int64_t i = 0; i < b_; ++i)
                        factors_.push_back(u[i * (b_ + a_) + j]);
                append(gains_, conditional_gain(u, b_, a_));
                append(spreads_, conditional_covariance(u, b_, a_, covariances_));
            }
            log_constants_.push_back(std::log(m.weights()[k]) + log_determinant);
        }
    }

    void add_diagonals(const model& m, const std::vector<std::int64_t>& known, const std::vector<std::int64_t>& rest) {
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

    void set_offsets(std::int64_t k, scratch& s) const {
        for (std::int64_t i = 0; i < b_; ++i)
            for (std::int64_t l = 0; l < lanes; ++l)
                s.offsets[i][l] = s.x[i][l] - known_means_[k * b_ + i];
    }

    /// ‖U_bbᵀ offset‖².
    lane squares(std::int64_t k, const std::vector<lane>& offsets) const {
        const double* factor = &factors_[factor_of(k) * (matrices_ ? b_ * b_ : b_)];
        lane sum{};
        for (std::int64_t j = 0; j < b_; ++j) {
            lane t{};
            const double* row = matrices_ ? &factor[j * b_] : factor;
            for (std::int64_t i = matrices_ ? 0 : j; i <= j; ++i)
                for (std::int64_t l = 0; l < lanes; ++l)
                    t[l] += row[i] * offsets[i][l];
            for (std::int64_t l = 0; l < lanes; ++l)
                sum[l] += t[l] * t[l];
        }
        return sum;
    }

    /// Distances, also where their squares overflow; infinity where they do themselves.
    void set_radii(std::int64_t k, scratch& s) const {
        constexpr double largest_square = 1e300, scale = 0x1p600, infinity = std::numeric_limits<double>::infinity();
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
    void set_means(std::int64_t k, scratch& s) const {
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

    void add_component(std::int64_t k, scratch& s, moving_sum& total) const {
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
                    s.spread[at][l] +=
                        total.weight[l] * own[at] + total.spread[l] * s.component[i][l] * s.component[j][l];
            }
        for (std::int64_t j = 0; j < a_; ++j)
            for (std::int64_t l = 0; l < lanes; ++l)
                s.mean[j][l] += total.step[l] * s.component[j][l];
    }

    void store(const scratch& s, std::int64_t row, const output& out) const {
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

    std::int64_t b_ = 0, a_ = 0, k_ = 0;
    bool tied_ = false, matrices_ = false, covariances_ = false;
    std::vector<double> log_constants_;            ///< [k] ln α_k det U_bb
    std::vector<double> known_means_, rest_means_; ///< [k x b], [k x a]
    std::vector<double> factors_;                  ///< U_bbᵀ [b x b] of each factor, or its diagonal [b]
    std::vector<double> gains_;   ///< −(U_ba U_aa⁻¹)ᵀ [a x b] of each factor; none for families without matrices
    std::vector<double> spreads_; ///< (U_aa U_aaᵀ)⁻¹ [a x a], or its diagonal [a]
};

/// The rows of a batch in float64 [rows x cols]. Throws invalid_argument for a value that is not finite.
void take_rows(const any_matrix_view& rows, const data_source& data, std::int64_t first_row, std::vector<double>& x) {
    x.resize(rows.rows * rows.cols);
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::int64_t j = 0; j < rows.cols; ++j) {
            const double value = x[i * rows.cols + j] = io::element(rows, i, j);
            expects(std::isfinite(value), [&] {
                return fmt::format("{}: row {}, column {} is {}: expected finite numbers", data.description(),
                                   first_row + i, column_label(data, j), value);
            });
        }
}

/// Room for the results of some rows.
regression room_for(const regression_map& map, const regress_options& options, std::int64_t rows) {
    const std::int64_t a = map.rest();
    regression r{std::vector<double>(rows * a), std::vector<double>(rows * a), {}, std::vector<double>(rows), {}};
    r.covariances.resize(options.covariances ? rows * a * a : 0);
    r.responsibilities.resize(options.responsibilities ? rows * map.components() : 0);
    return r;
}

/// From number `first` on; null where there are none.
double* from(std::vector<double>& numbers, std::int64_t first) {
    return numbers.empty() ? nullptr : &numbers[first];
}

/// Rows of a batch such that it has a few million numbers.
std::int64_t batch_rows(const regression_map& map, const regress_options& options) {
    constexpr std::int64_t numbers = std::int64_t(1) << 21;
    const std::int64_t a = map.rest(), k = map.components();
    const std::int64_t width = map.known() + (options.covariances ? 2 + a : 2) * a + (options.responsibilities ? k : 0);
    return std::clamp<std::int64_t>(numbers / width, lanes, 65536);
}

/// Returns the first row whose moments are not finite, or a number above all.
std::int64_t apply_to_rows(const regression_map& map, const std::vector<double>& x, std::int64_t rows, int threads,
                           regression& out) {
    constexpr std::int64_t part_rows = 16 * lanes;
    const std::int64_t a = map.rest();
    const auto at = [&](std::int64_t row) {
        return regression_map::output{from(out.means, row * a), from(out.variances, row * a),
                                      from(out.covariances, row * a * a), from(out.log_density, row),
                                      from(out.responsibilities, row * map.components())};
    };
    const std::int64_t parts = (rows + part_rows - 1) / part_rows;
    std::vector<regression_map::scratch> scratch(static_cast<std::size_t>(std::min<std::int64_t>(threads, parts)),
                                                 map.make_scratch());
    std::vector<std::int64_t> first_bad(static_cast<std::size_t>(parts), rows);
    kernels::parallel_for(threads, parts, [&](std::int64_t part, int member) {
        const std::int64_t end = std::min((part + 1) * part_rows, rows);
        for (std::int64_t first = part * part_rows; first < end; first += lanes) {
            const std::int64_t bad =
                map.apply(&x[first * map.known()], std::min(lanes, rows - first), scratch[member], at(first));
            first_bad[part] = std::min(first_bad[part], bad < 0 ? rows : first + bad);
        }
    });
    return parts == 0 ? rows : *std::ranges::min_element(first_bad);
}

} // namespace

void regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns, const data_source& known,
             const std::function<void(const regression_batch&)>& sink, const regress_options& options) {
    const regression_map map(m, columns, options);
    expects(known.cols() == map.known(), [&] {
        return fmt::format("{} has {} columns: expected {}, the number of known columns", known.description(),
                           known.cols(), map.known());
    });
    const context host = on_host(ctx);
    regression results = room_for(map, options, std::min(known.rows(), batch_rows(map, options)));
    std::vector<char> staging;
    std::vector<double> x;
    std::int64_t first_row = 0;
    const auto reader = known.read(batch_rows(map, options));
    for (any_matrix_view batch = reader->next(); batch.rows > 0; batch = reader->next()) {
        const any_matrix_view rows = readable(host, batch, staging);
        take_rows(rows, known, first_row, x);
        const std::int64_t bad = apply_to_rows(map, x, rows.rows, host.threads(), results);
        expects(bad == rows.rows, [&] {
            return fmt::format("{}: row {} (the first number is {}): expected values near enough to the means for the "
                               "conditional means and variances to be finite",
                               known.description(), first_row + bad, x[bad * map.known()]);
        });
        sink({first_row, rows.rows, from(results.means, 0), from(results.variances, 0), from(results.covariances, 0),
              from(results.log_density, 0), from(results.responsibilities, 0)});
        first_row += rows.rows;
    }
}

regression regress(const context& ctx, const model& m, const std::vector<std::int64_t>& columns,
                   const data_source& known, const regress_options& options) {
    regression all;
    const std::int64_t a = m.dimensions() - std::ssize(columns), k = m.components();
    const auto append = [](std::vector<double>& to, const double* from, std::int64_t count) {
        if (from)
            to.insert(to.end(), from, from + count);
    };
    const auto keep = [&](const regression_batch& batch) {
        append(all.means, batch.means, batch.rows * a);
        append(all.variances, batch.variances, batch.rows * a);
        append(all.covariances, batch.covariances, batch.rows * a * a);
        append(all.log_density, batch.log_density, batch.rows);
        append(all.responsibilities, batch.responsibilities, batch.rows * k);
    };
    regress(ctx, m, columns, known, keep, options);
    return all;
}

} // namespace elbo::gmm
