#include "host/check.hpp"

#include <cmath>
#include <fmt/format.h>
#include <string>

namespace elbo {

namespace {

/// "at least 1", "1 to 8", "a finite number above 0", "at least 0 and less than 1".
std::string text(const rule& r, bool whole) {
    const bool has_least = std::isfinite(r.least), has_most = std::isfinite(r.most);
    if (!r.expected.empty())
        return std::string(r.expected);
    if (has_least && has_most && !r.above && !r.below)
        return whole ? fmt::format("{:.0f} to {:.0f}", r.least, r.most)
                     : fmt::format("a number from {:g} to {:g}", r.least, r.most);
    std::string ends;
    if (has_least)
        ends = fmt::format("{} {}", r.above ? "above" : "at least", r.least);
    if (has_most)
        ends += fmt::format("{}{} {}", has_least ? " and " : "", r.below ? "less than" : "at most", r.most);
    if (whole || (has_least && has_most))
        return ends;
    return (r.above ? "a finite number " : "a finite number, ") + ends;
}

} // namespace

void expects(std::string_view name, std::int64_t value, const rule& allowed) {
    expects(allowed.allows(static_cast<double>(value)),
            [&] { return fmt::format("{} = {}: expected {}", name, value, text(allowed, true)); });
}

void expects(std::string_view name, double value, const rule& allowed) {
    expects(allowed.allows(value),
            [&] { return fmt::format("{} = {}: expected {}", name, value, text(allowed, false)); });
}

} // namespace elbo
