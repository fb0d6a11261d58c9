// Lists in messages and rows of text. fmt::join would be compiled anew with every source that calls it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace elbo {

/// The entries with `between` between them: numbers as short as they are read back.
std::string joined(std::span<const std::string> entries, std::string_view between);
std::string joined(std::span<const std::int32_t> entries, std::string_view between);
std::string joined(std::span<const std::int64_t> entries, std::string_view between);
std::string joined(std::span<const std::uint64_t> entries, std::string_view between);
std::string joined(std::span<const float> entries, std::string_view between);
std::string joined(std::span<const double> entries, std::string_view between);

} // namespace elbo
