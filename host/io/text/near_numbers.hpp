// Text in place of numbers: what stands for a missing value, and what is a number for people alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace elbo::io {

inline constexpr std::string_view missing_advice =
    "missing values are not supported: leave such rows out, or fill them in";

/// Whether a field stands for a missing value by custom: empty, NA, N/A, null, None, ?, -, ., ... in any case.
bool is_missing_value(std::string_view text);

/// Text that is a number for people: 1,5 or 12,345 or 45% or 12kg or $5.
struct near_number {
    std::string advice; ///< what to do about it
    std::string unit; ///< "kg"; empty for the others. Codes such as 3D look alike, so it counts where all rows have it
};
/// Nothing for a number, and for any other text.
std::optional<near_number> find_near_number(std::string_view text);

} // namespace elbo::io
