#include "host/io/model/fields_json.hpp"

#include "host/io/model/json_text.hpp"

#include <fmt/format.h>

namespace elbo::io {

void require_same(const json& stored, const json& now, std::string_view what, const std::string& path) {
    for (const auto& [key, value] : now.items()) {
        const json there = stored.contains(key) ? stored[key] : json();
        expects(there == value, [&, &name = key, &wanted = value] {
            return fmt::format("resume = '{}': it was written with {} {} = {}, this call has {}", path, what, name,
                               json_text(there), json_text(wanted));
        });
    }
}

} // namespace elbo::io
