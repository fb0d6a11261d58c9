// The parser of the command line. It stands before the library that does the work (host/cli/core/command_line.cpp),
// which would be compiled anew with every command.
#pragma once

#include "elbo/error.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace elbo::cli {

/// Options that do not exist, are missing, exclude each other or have no such value.
class usage_error : public error {
public:
    using error::error;
};

/// The variable that an option sets. What it is says more about the option: values of lists stand between commas, whole
/// numbers and texts are checked, and the help shows what it holds now, unless it is optional or an empty list.
using option_target =
    std::variant<std::string*, int*, std::int64_t*, std::uint64_t*, double*, std::optional<std::int64_t>*,
                 std::optional<double>*, std::vector<std::string>*, std::vector<std::int64_t>*, std::vector<double>*,
                 std::optional<std::vector<double>>*>;

/// One option of a command, to which it belongs.
class option {
public:
    explicit option(CLI::Option* wrapped) : wrapped_(wrapped) {}
    option required(); ///< returns it again, and so does excludes
    option excludes(const option& other);
    std::string get_name() const; ///< "--seed"
    std::size_t count() const;    ///< how often it was given

private:
    CLI::Option* wrapped_;
};

/// What the help says of an option that several commands take.
struct option_text {
    const char *names, *help, *type, *group;
};

/// A command with its options and the commands below it. Names are "-k,--components", or "DATA" for an argument.
class parser {
public:
    /// The program itself; one of its commands must be named.
    parser(const std::string& program, const std::string& description, const std::string& version);

    /// `type` stands for its value in the help, `group` is the heading that it is under; both may be left to the
    /// library.
    template <class T>
    option add_option(const std::string& names, T& value, const std::string& help, const std::string& type = "",
                      const std::string& group = "") {
        return add_option(names, option_target(&value), help, type, group);
    }
    template <class T>
    option add_option(const option_text& text, T& value) {
        return add_option(text.names, option_target(&value), text.help, text.type, text.group);
    }
    /// `choose` takes what was typed, and throws invalid_argument; `shown` is the default.
    option add_choice(const std::string& names, const std::string& shown,
                      const std::function<void(const std::string&)>& choose, const std::string& help,
                      const std::string& type, const std::string& group);
    option add_flag(const std::string& names, bool& value, const std::string& help, const std::string& group = "");
    option get_option(const std::string& name);
    parser add_subcommand(const std::string& name, const std::string& help);
    /// The same of which one of its own must be named.
    parser add_group(const std::string& name, const std::string& help);
    void footer(const std::string& text);               ///< below the help
    void callback(const std::function<void()>& parsed); ///< when this command was parsed

    /// Sets the variables and calls the callback of the command that was named. False where the user asked for a help
    /// or the version, which was printed. Throws usage_error.
    bool parse(int argc, const char* const* argv);
    /// The command that was named last: "elbo mixture fit".
    std::string command_name() const;

private:
    option add_option(const std::string& names, const option_target& value, const std::string& help,
                      const std::string& type, const std::string& group);
    explicit parser(std::shared_ptr<CLI::App> app) : app_(std::move(app)) {}
    std::shared_ptr<CLI::App> app_; ///< the program, or a command of it
};

} // namespace elbo::cli
