// Counts with mean μ and variance μ + μ²/θ; ln θ is the likelihood's own parameter.
//
// ln p = ln Γ(x + θ) − ln Γ(θ) − ln x! + x ln μ + θ ln θ − (x + θ) ln(θ + μ). With Γ(z) = e^(E(z) + z ln z − z) this is
//   N + E(x + θ) − E(θ) − ½ ln 2πx − δ(x),     N = x ln(μ/x) − (x + θ) ln((μ + θ)/(x + θ)),
// without a ln Γ. Where x = 0 it is −θ ln(1 + μ/θ). N has two forms without differences of large numbers,
//   D(x + θ; μ + θ) − D(x; μ)                     with the deviance D(x; μ) = x ln(x/μ) + μ − x of counts.hpp,
//   x ln(1 + θ/x) − x ln(1 + θ/μ) − θ ln((μ + θ)/(x + θ)),
// for large and for small θ: the one with the smaller error is taken.
//
// E(z) = ½ ln 2π − ½ ln z + S(z) for z ≥ 8, so that for θ ≥ 8 E(x + θ) − E(θ) = −½ ln(1 + x/θ) + S(x + θ) − S(θ).
// Below, Γ(z + 8) = z (z + 1) ... (z + 7) Γ(z) gives E(z) = z ln(1 + 8/z) + 7.5 ln(z + 8) − 8 + ½ ln 2π + S(z + 8) − ln
// of the product.
//
// Limit: for θ → ∞ D(x + θ; μ + θ) = (x − μ)²/2θ, ln(1 + x/θ) and S(x + θ) − S(θ) vanish, and what is left is the term
// of poisson.hpp, operation by operation. Error with the unit roundoff u: 16 u (T + |ln θ| + |ln(x + θ)| + 2), T the
// sum of the two deviances or of θ, x ln(1 + θ/μ) and θ |ln((μ + θ)/(x + θ))|, whichever is smaller; and what the
// errors of μ and θ give, which come from exponentials.
//
// With ψ = ln z + E'(z): ∂ ln p/∂ ln θ = θ (ln r − (r − 1) + E'(x + θ) − E'(θ)), r = (x + θ)/(μ + θ).
#pragma once

#include "kernels/math/likelihood/counts.hpp"

namespace elbo::kernels {

/// S'(z) for z ≥ 8.
template <class M>
ELBO_HD inline typename M::real stirling_error_slope(typename M::real z) {
    using c = typename M::scalar;
    const auto r = c(1) / z, y = r * r;
    if constexpr (sizeof(c) == 4)
        return -y * (c(1.0 / 12) - y * (c(1.0 / 120) - y * c(1.0 / 252)));
    else
        return -y * (c(1.0 / 12) -
                     y * (c(1.0 / 120) -
                          y * (c(1.0 / 252) -
                               y * (c(1.0 / 240) - y * (c(1.0 / 132) - y * (c(691.0 / 32760) - y * c(1.0 / 12)))))));
}

/// E(z) and E'(z).
template <class M>
struct gamma_part {
    typename M::real value, slope;
};
template <class M>
ELBO_HD inline gamma_part<M> gamma_part_of(typename M::real z) {
    using c = typename M::scalar;
    const auto eight = M::broadcast(c(8)), near = z < eight ? z : eight;
    const auto is_near = z < eight;
    const auto w = is_near ? z + c(8) : z;
    const auto log_w = M::log(w), ratio = log_w - M::log(near);
    // z (z + 7), and with it (z + 1)(z + 6) = y + 6, (z + 2)(z + 5) = y + 10, (z + 3)(z + 4) = y + 12.
    const auto y = near * (near + c(7)), first = y * (y + c(6)), second = (y + c(10)) * (y + c(12));
    const auto below = near * ratio + c(7.5) * log_w - (M::log(first * second) + c(8));
    const auto below_slope = ratio - (c(2) * near + c(7)) * ((c(2) * y + c(6)) / first + (c(2) * y + c(22)) / second);
    const auto zero = M::broadcast(c(0));
    return {(is_near ? below : c(-0.5) * log_w) + stirling_error<M>(w),
            (is_near ? below_slope : zero) - c(0.5) / w + stirling_error_slope<M>(w)};
}

namespace likelihoods {

struct negative_binomial : count_base {
    static constexpr likelihood_facts facts{.counts = true,
                                            .second = second_sum::own_gradient,
                                            .values = count_facts.values,
                                            .means = count_facts.means,
                                            .own = "log_theta",
                                            .parameter = "theta",
                                            .members = "count_mean library_size dispersion theta"};
    /// ln θ stays between: below, the product of gamma_part_of would not be normal; above, it is Poisson.
    static constexpr double lowest = -18, highest = 40;

    static vae::parameter_source source(const vae::likelihood& l) { return l.dispersion; }
    static double initial(const vae::likelihood& l) { return std::log(l.theta); }
    static double natural(double log_theta) { return prepare(log_theta); }
    template <class Real>
    ELBO_HD static Real prepare(Real log_theta) {
        const Real least = Real(lowest), most = Real(highest);
        return std::exp(log_theta < least ? least : log_theta > most ? most : log_theta);
    }

    template <class M>
    ELBO_HD static likelihood_term<M> term(const observed_number<M>& o) {
        using c = typename M::scalar;
        const count_terms<M> of(o);
        const auto theta = o.prepared, z = of.x + theta, a = of.mean + theta, log_ratio = M::log(a / z);
        const auto difference = of.mean - of.x; // of a and z, whose last digits are lost beside a large θ
        const auto over = c(1) + of.mean / theta;
        const auto value_at_0 = -theta * M::log1p(of.mean / theta);

        const gamma_part<M> at_z = gamma_part_of<M>(z), at_theta = gamma_part_of<M>(theta);
        const auto is_near = theta < M::broadcast(c(8));
        const auto e = is_near ? at_z.value - at_theta.value
                               : stirling_error<M>(z) - stirling_error<M>(theta) - c(0.5) * M::log1p(of.x / theta);
        const auto slope =
            is_near ? at_z.slope - at_theta.slope
                    : c(0.5) * of.x / (theta * z) + stirling_error_slope<M>(z) - stirling_error_slope<M>(theta);
        const auto value = logarithms(of, theta, log_ratio, -z * log_less_linear<M>(a, z, difference, log_ratio));
        const auto of_theta = theta * (log_less_linear<M>(z, a, -difference, -log_ratio) + slope);
        const auto zero = M::broadcast(c(0));
        const auto inside = o.own < M::broadcast(c(highest)) ? of_theta : zero;
        return {of.is_zero() ? value_at_0 : value + e - of.constant, -difference / over * of.slope,
                o.own > M::broadcast(c(lowest)) ? inside : zero};
    }

    /// A Poisson variable whose mean is μ times a gamma variable of mean 1 and shape θ.
    static void draw(const row_noise& noise, const vae::likelihood&, std::span<const double> theta,
                     std::span<float> x) {
        for (std::size_t j = 0; j < x.size(); ++j) {
            count_noise numbers(noise, static_cast<std::int64_t>(j));
            const double shape = theta[theta.size() == 1 ? 0 : j];
            x[j] = static_cast<float>(poisson_draw(numbers, x[j] * gamma_draw(numbers, shape) / shape));
        }
    }

private:
    /// N, given ln((μ + θ)/(x + θ)) and D(x + θ; μ + θ) ≥ 0.
    template <class M>
    ELBO_HD static typename M::real logarithms(const count_terms<M>& of, typename M::real theta,
                                               typename M::real log_ratio, typename M::real deviance) {
        const auto x = of.one_or_x, of_x = x * M::log1p(theta / x), of_mean = x * M::log1p(theta / of.mean);
        const auto rest = theta * log_ratio, rest_size = log_ratio < M::broadcast(0) ? -rest : rest;
        // ln of a ratio errs by u even where it is small: θ in place of x ln(1 + θ/x) ≤ θ. Where μ is 0 the sum is no
        // number, and the deviances are taken.
        return theta + of_mean + rest_size < of.deviance + deviance ? of_x - of_mean - rest : deviance - of.deviance;
    }

    /// Marsaglia and Tsang, ACM Transactions on Mathematical Software 26, 2000.
    static double gamma_draw(count_noise& noise, double shape) {
        const double smaller = shape < 1 ? std::pow(noise.uniform(), 1 / shape) : 1;
        const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
        while (true) {
            const double n = noise.normal(), root = 1 + c * n, v = root * root * root;
            if (root > 0 && std::log(noise.uniform()) < 0.5 * n * n + d - d * v + d * std::log(v))
                return smaller * d * v;
        }
    }
};

} // namespace likelihoods
} // namespace elbo::kernels
