// Ticks of an axis at round numbers, and their labels.
#pragma once

#include <string>
#include <vector>

namespace elbo::report {

/// A closed interval of an axis.
struct interval {
    double low = 0;
    double high = 1;
    double width() const { return high - low; }
};

/// The interval with `share` of its width added on both sides; one of width zero gets some width.
interval padded(interval range, double share);

struct ticks {
    std::vector<double> values;
    std::vector<std::string> labels;
};

/// About `wanted` ticks inside `range` at multiples of 1, 2 or 5 times a power of ten, with as many decimals as tell
/// them apart.
ticks linear_ticks(interval range, int wanted);

/// Ticks at powers of ten for an axis in log10; `range` is in log10. At most about `wanted`.
ticks decade_ticks(interval range, int wanted);

/// Ticks of linear_ticks that are whole numbers (counts of iterations).
ticks whole_ticks(interval range, int wanted);

} // namespace elbo::report
