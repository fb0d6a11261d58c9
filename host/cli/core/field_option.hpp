// Options that set the members of a struct of the library, as its fields say (host/fields.hpp).
#pragma once

#include "host/cli/core/command_line.hpp"
#include "host/fields.hpp"

#include <string>

namespace elbo::cli {

/// The name of a value of an enumeration.
template <named E>
option* add_choice(parser& app, const std::string& names, E& value, const std::string& help, const std::string& group) {
    return app
        .add_choice(
            names, std::string(name_of(value)), [&value](const std::string& text) { value = value_of<E>(text); }, help)
        ->group(group);
}

/// An option or a flag that sets options.*member, with the help of its field. The help shows the value there is, unless
/// it is optional or a list.
template <class S, class M>
option* add_field(parser& app, const std::string& names, S& options, M S::*member, const std::string& type,
                  const std::string& group) {
    const std::string help(field_of(member).help);
    M& value = options.*member;
    if constexpr (std::same_as<M, bool>) {
        return app.add_flag(names, value, help, group);
    } else if constexpr (named<M>) {
        return add_choice(app, names, value, help, group)->type_name(type);
    } else {
        option* added = app.add_option(names, value, help, type, group);
        if constexpr (is_list<M> || std::same_as<M, std::optional<std::vector<double>>>)
            return added->delimiter(',');
        else
            return is_optional<M> ? added : added->capture_default_str();
    }
}

} // namespace elbo::cli
