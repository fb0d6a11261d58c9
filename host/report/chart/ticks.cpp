#include "host/report/chart/ticks.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace elbo::report {

namespace {

// The step 1, 2 or 5 times 10^m that is nearest above width / wanted.
double round_step(double width, int wanted) {
    const double raw = width / wanted;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (raw <= factor * power * (1 + 1e-9))
            return factor * power;
    return 10 * power;
}

std::size_t longest(const std::vector<std::string>& labels) {
    std::size_t length = 0;
    for (const std::string& label : labels)
        length = std::max(length, label.size());
    return length;
}

// Labels with as many digits as the step needs, with powers of ten only where that is much shorter.
std::vector<std::string> labels_of(const std::vector<double>& values, double step) {
    const auto exponent = [](double x) { return static_cast<int>(std::floor(std::log10(x) + 1e-9)); };
    double largest = step;
    for (const double value : values)
        largest = std::max(largest, std::abs(value));
    const int decimals = std::max(0, -exponent(step)), digits = std::max(0, exponent(largest) - exponent(step));
    std::vector<std::string> fixed, scientific;
    for (const double value : values) {
        fixed.push_back(fmt::format("{:.{}f}", value, decimals));
        scientific.push_back(value == 0 ? "0" : fmt::format("{:.{}e}", value, digits));
    }
    return longest(fixed) > longest(scientific) + 3 ? scientific : fixed;
}

ticks ticks_of_step(interval range, double step) {
    ticks result;
    // Multiples are counted rather than added up, so that zero is zero and labels do not drift.
    const double first = std::ceil(range.low / step - 1e-9);
    const double last = std::floor(range.high / step + 1e-9);
    for (double i = first; i <= last; ++i)
        result.values.push_back(i == 0 ? 0 : i * step);
    result.labels = labels_of(result.values, step);
    return result;
}

} // namespace

interval padded(interval range, double share) {
    const double width = range.width();
    if (!(width > 0)) {
        const double half = range.low == 0 ? 1 : std::abs(range.low) * 1e-3;
        return {range.low - half, range.high + half};
    }
    return {range.low - share * width, range.high + share * width};
}

ticks linear_ticks(interval range, int wanted) {
    return ticks_of_step(range, round_step(range.width(), wanted));
}

ticks whole_ticks(interval range, int wanted) {
    return ticks_of_step(range, std::max(1.0, round_step(range.width(), wanted)));
}

ticks decade_ticks(interval range, int wanted) {
    ticks result = ticks_of_step(range, std::max(1.0, std::ceil(range.width() / wanted)));
    for (std::size_t i = 0; i < result.values.size(); ++i)
        result.labels[i] = fmt::format("1e{:.0f}", result.values[i]);
    return result;
}

} // namespace elbo::report
