#include "host/joined.hpp"

#include <fmt/format.h>

namespace elbo {

std::string joined(std::span<const std::string> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}
std::string joined(std::span<const std::int32_t> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}
std::string joined(std::span<const std::int64_t> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}
std::string joined(std::span<const std::uint64_t> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}
std::string joined(std::span<const float> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}
std::string joined(std::span<const double> entries, std::string_view between) {
    return fmt::format("{}", fmt::join(entries, between));
}

} // namespace elbo
