#include "host/joined.hpp"

#include <fmt/format.h>

namespace elbo {

namespace {

template <class T>
std::string join(std::span<const T> entries, std::string_view between) {
    std::string text;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (i > 0)
            text += between;
        if constexpr (std::is_same_v<T, std::string>)
            text += entries[i];
        else
            fmt::format_to(std::back_inserter(text), "{}", entries[i]);
    }
    return text;
}

} // namespace

std::string joined(std::span<const std::string> entries, std::string_view between) {
    return join(entries, between);
}
std::string joined(std::span<const std::int32_t> entries, std::string_view between) {
    return join(entries, between);
}
std::string joined(std::span<const std::int64_t> entries, std::string_view between) {
    return join(entries, between);
}
std::string joined(std::span<const std::uint64_t> entries, std::string_view between) {
    return join(entries, between);
}
std::string joined(std::span<const float> entries, std::string_view between) {
    return join(entries, between);
}
std::string joined(std::span<const double> entries, std::string_view between) {
    return join(entries, between);
}

} // namespace elbo
