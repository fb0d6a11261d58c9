// Order-free sums: a float64 partial enters a sum as three signed 64-bit limbs of 42 bits. Integer addition commutes
// and is exact, so the sum of the partials does not depend on the order, the grid or the number of threads.
//
// A sum with exponent e represents limb[2]·2^(e+84) + limb[1]·2^(e+42) + limb[0]·2^e. A partial |v| ≤ 2^(e+126) enters
// with an error of at most 2^(e-1); a partial of at least 2^(e+53) enters exactly. 21 spare bits carry 2^21 additions.
#pragma once

#include "kernels/math/macros.hpp"

#include <cmath>
#include <cstdint>

namespace elbo::kernels {

inline constexpr int limb_bits = 42;
inline constexpr int limb_count = 3;
/// Additions after which carry() must have been called.
inline constexpr std::int64_t additions_between_carries = std::int64_t(1) << 20;

/// Exponent of a sum whose partials are at most `bound` in magnitude.
inline int fixed_exponent(double bound) {
    int e = 0;
    std::frexp(bound, &e); // bound < 2^e
    return e - 126;
}

/// 2^n for -1022 <= n <= 1023, exactly.
ELBO_HD inline double power_of_two(int n) {
    return ::ldexp(1.0, n);
}

/// Splits v, a multiple of the unit 2^e of its sum, into limbs. Products and differences are exact: factors are powers
/// of two, and literals, which the compiler of the device would not make of ldexp.
ELBO_HD inline void split_units(double v, std::int64_t limbs[limb_count]) {
    static_assert(limb_bits == 42);
    const double high = ::rint(v * 0x1p-84);
    v -= high * 0x1p84;
    const double middle = ::rint(v * 0x1p-42);
    v -= middle * 0x1p42;
    limbs[2] = static_cast<std::int64_t>(high);
    limbs[1] = static_cast<std::int64_t>(middle);
    limbs[0] = static_cast<std::int64_t>(::rint(v));
}

/// The same of a value under its exponent.
ELBO_HD inline void split_fixed(double v, int exponent, std::int64_t limbs[limb_count]) {
    split_units(v * power_of_two(-exponent), limbs);
}

/// Moves what exceeds 42 bits of the lower limbs upwards; the value stays the same. Afterwards 0 <= limb[0], limb[1] <
/// 2^42.
ELBO_HD inline void carry_fixed(std::int64_t limbs[limb_count]) {
    for (int i = 0; i + 1 < limb_count; ++i) {
        const std::int64_t over = limbs[i] >> limb_bits; // rounds down, also for negative limbs
        limbs[i] -= over * (std::int64_t(1) << limb_bits);
        limbs[i + 1] += over;
    }
}

/// The same for sum i of limbs [3][count].
ELBO_HD inline void carry_fixed(std::int64_t* limbs, std::int64_t count, std::int64_t i) {
    std::int64_t parts[limb_count] = {limbs[i], limbs[count + i], limbs[2 * count + i]};
    carry_fixed(parts);
    for (int l = 0; l < limb_count; ++l)
        limbs[l * count + i] = parts[l];
}

/// The value as a double.
ELBO_HD inline double join_fixed(const std::int64_t limbs_in[limb_count], int exponent) {
    std::int64_t limbs[limb_count] = {limbs_in[0], limbs_in[1], limbs_in[2]};
    carry_fixed(limbs);
    const double upper = static_cast<double>(limbs[2]) * power_of_two(limb_bits) + static_cast<double>(limbs[1]);
    const double all = upper * power_of_two(limb_bits) + static_cast<double>(limbs[0]);
    return all * power_of_two(exponent);
}

/// The same for sum i of limbs [3][count].
ELBO_HD inline double join_fixed(const std::int64_t* limbs, std::int64_t count, std::int64_t i, int exponent) {
    const std::int64_t parts[limb_count] = {limbs[i], limbs[count + i], limbs[2 * count + i]};
    return join_fixed(parts, exponent);
}

} // namespace elbo::kernels
