// The way from a data_source to an engine: what mixtures and networks share.
#pragma once

#include "elbo/context.hpp"
#include "elbo/data_source.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbo {

/// The view itself, or of device memory a copy in `staging`, which the host can read.
any_matrix_view on_host(const any_matrix_view& view, std::vector<char>& staging);
/// The same, but the view itself where the back end of the context can read it.
any_matrix_view readable(const context& ctx, const any_matrix_view& view, std::vector<char>& staging);
/// The context itself where it computes on the host, else one on as many threads as the host has room for.
context on_host(const context& ctx);

/// The data. Throws invalid_argument unless it has so many columns, the dimensions of `whose`.
const data_source& check_width(const data_source& data, std::int64_t dimensions, std::string_view whose = "the model");

/// A column for messages: its number, and its name where it has one.
std::string column_label(const data_source& data, std::int64_t column);

/// Bytes of data that may be kept on this context: `limit` where it is positive, else what is free.
std::int64_t available_bytes(const context& ctx, std::int64_t limit);

} // namespace elbo
