// The one source that includes the library of command lines.
#include "host/cli/core/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <limits>

namespace elbo::cli {
namespace {

/// Reads a whole number as people write it, and puts it into `text` as the library does. By itself that takes 010 for
/// eight and numbers that are too large for the largest one there is. Returns what is wrong.
template <class T>
std::string read_whole_number(std::string& text) {
    const std::size_t begin = std::min(text.find_first_not_of(" +"), text.size());
    const char* const end = text.data() + text.size();
    T value{};
    const auto [rest, problem] = std::from_chars(text.data() + begin, end, value);
    if (problem != std::errc() || rest != end)
        return fmt::format("expected a whole number from {} to {}, found '{}'", std::numeric_limits<T>::min(),
                           std::numeric_limits<T>::max(), text);
    text = std::to_string(value);
    return {};
}

/// An empty text is what a variable of the shell leaves that was never set: without a word, nothing would be written.
std::string require_text(const std::string& text) {
    return text.empty() ? "expected a value, found an empty text" : "";
}

template <class T>
struct one_of {
    using type = T;
};
template <class T>
struct one_of<std::optional<T>> : one_of<T> {};
template <class T>
struct one_of<std::vector<T>> : one_of<T> {};

/// Sets an option up as its variable says.
template <class T>
void set_up(CLI::Option* added, const T& variable) {
    using value = typename one_of<T>::type;
    if constexpr (std::same_as<T, std::string>)
        added->check(require_text, "");
    if constexpr (std::integral<value>)
        added->transform(CLI::Validator(read_whole_number<value>, ""));
    if constexpr (std::same_as<T, value>) {
        added->capture_default_str();
    } else if (!added->get_positional()) { // else the list would take the arguments that follow it: --columns a,b DATA
        if constexpr (!std::same_as<T, std::optional<value>>)
            added->delimiter(',')->allow_extra_args(false);
        if constexpr (std::same_as<T, std::vector<value>>)
            if (!variable.empty())
                added->capture_default_str();
    }
}

option in_group(CLI::Option* added, const std::string& group) {
    if (!group.empty())
        added->group(group);
    return option(added);
}

} // namespace

option option::required() {
    return option(wrapped_->required()->default_str("")); // which nobody sees
}

option option::excludes(const option& other) {
    return option(wrapped_->excludes(other.wrapped_));
}

std::string option::get_name() const {
    return wrapped_->get_name();
}

std::size_t option::count() const {
    return wrapped_->count();
}

parser::parser(const std::string& program, const std::string& description, const std::string& version) {
    app_ = std::make_shared<CLI::App>(description, program);
    app_->require_subcommand(1)->set_version_flag("--version", version);
}

option parser::add_option(const std::string& names, const option_target& value, const std::string& help,
                          const std::string& type, const std::string& group) {
    CLI::Option* const added = std::visit(
        [&](auto* variable) {
            CLI::Option* const typed = app_->add_option(names, *variable, help);
            set_up(typed, *variable);
            return typed;
        },
        value);
    if (!type.empty())
        added->type_name(type);
    return in_group(added, group);
}

option parser::add_choice(const std::string& names, const std::string& shown,
                          const std::function<void(const std::string&)>& choose, const std::string& help,
                          const std::string& type, const std::string& group) {
    CLI::Option* const added = app_->add_option_function<std::string>(names, choose, help);
    return in_group(added->default_str(shown)->check(require_text, "")->type_name(type), group);
}

option parser::add_flag(const std::string& names, bool& value, const std::string& help, const std::string& group) {
    return in_group(app_->add_flag(names, value, help), group);
}

option parser::get_option(const std::string& name) {
    return option(app_->get_option(name));
}

parser parser::add_subcommand(const std::string& name, const std::string& help) {
    return parser({app_, app_->add_subcommand(name, help)}); // shares the program
}

parser parser::add_group(const std::string& name, const std::string& help) {
    parser group = add_subcommand(name, help);
    group.app_->require_subcommand(1);
    return group;
}

void parser::footer(const std::string& text) {
    app_->footer(text);
}

void parser::callback(const std::function<void()>& parsed) {
    app_->callback(parsed);
}

bool parser::parse(int argc, const char* const* argv) {
    try {
        app_->parse(argc, argv);
        return true;
    } catch (const CLI::Success& asked) { // --help and --version
        app_->exit(asked);
        return false;
    } catch (const CLI::ParseError& e) {
        throw usage_error(e.what());
    } catch (const invalid_argument& e) { // of a choice
        throw usage_error(e.what());
    }
}

std::string parser::command_name() const {
    std::string name = app_->get_name();
    for (auto used = app_->get_subcommands(); !used.empty(); used = used.front()->get_subcommands())
        name += " " + used.front()->get_name();
    return name;
}

} // namespace elbo::cli
