#include "host/names.hpp"

#include "host/fit_fields.hpp"
#include "host/joined.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace elbo {

ELBO_NAMES(collapse_policy, collapse_policy_from_string)
ELBO_TO_STRING(stop_reason)

std::string listed(std::span<const std::string_view> names) {
    return joined(std::vector<std::string>(names.begin(), names.end()), ", ");
}

std::size_t place_of(std::string_view name, std::string_view what, std::span<const std::string_view> names) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end())
        throw invalid_argument(fmt::format("{} = \"{}\": expected one of {}", what, name, listed(names)));
    return static_cast<std::size_t>(at - names.begin());
}

} // namespace elbo
