// Names of the enumerations that all fits share.
#include "elbo/fit.hpp"
#include "host/name_table.hpp"

#include <array>

namespace elbo {

namespace {

constexpr std::array<std::pair<collapse_policy, std::string_view>, 3> policies{
    {{collapse_policy::reseed, "reseed"}, {collapse_policy::drop, "drop"}, {collapse_policy::fail, "fail"}}};
constexpr std::array<std::pair<stop_reason, std::string_view>, 3> reasons{
    {{stop_reason::converged, "converged"},
     {stop_reason::max_iterations, "max_iterations"},
     {stop_reason::interrupted, "interrupted"}}};

} // namespace

std::string_view to_string(collapse_policy p) {
    return name_of<collapse_policy>(policies, p);
}
collapse_policy collapse_policy_from_string(std::string_view name) {
    return value_of<collapse_policy>(policies, name, "collapse policy");
}
std::string_view to_string(stop_reason s) {
    return name_of<stop_reason>(reasons, s);
}

} // namespace elbo
