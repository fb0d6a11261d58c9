// The one source that includes the library of command lines.
#include "host/cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <deque>

namespace elbo::cli {

option* option::type_name(const std::string& text) {
    wrapped_->type_name(text);
    return this;
}

option* option::group(const std::string& title) {
    wrapped_->group(title);
    return this;
}

option* option::required() {
    wrapped_->required();
    return this;
}

option* option::delimiter(char between) {
    // Else the list would take the arguments that follow it: --columns a,b DATA.
    wrapped_->delimiter(between)->allow_extra_args(false);
    return this;
}

option* option::capture_default_str() {
    wrapped_->capture_default_str();
    return this;
}

option* option::excludes(option* other) {
    wrapped_->excludes(other->wrapped_);
    return this;
}

std::string option::get_name() const {
    return wrapped_->get_name();
}

std::size_t option::count() const {
    return wrapped_->count();
}

struct parser::state {
    explicit state(std::unique_ptr<CLI::App> program) : owned(std::move(program)), app(owned.get()) {}
    explicit state(CLI::App* command) : app(command) {}

    std::unique_ptr<CLI::App> owned; ///< of the program itself; the others belong to it
    CLI::App* app;
    std::deque<option> options;
    std::deque<std::unique_ptr<parser>> commands;

    option* keep(CLI::Option* added) {
        options.push_back(option(added));
        return &options.back();
    }
};

parser::parser(const std::string& program, const std::string& description)
    : state_(std::make_unique<state>(std::make_unique<CLI::App>(description))) {
    state_->app->name(program);
}

parser::parser(std::unique_ptr<state> s) : state_(std::move(s)) {}
parser::~parser() = default;

option* parser::add_option(const std::string& names, option_target value, const std::string& help) {
    return state_->keep(
        std::visit([&](auto* variable) { return state_->app->add_option(names, *variable, help); }, value.variable()));
}

option* parser::add_flag(const std::string& names, bool& value, const std::string& help) {
    return state_->keep(state_->app->add_flag(names, value, help));
}

option* parser::get_option(const std::string& name) {
    return state_->keep(state_->app->get_option(name));
}

parser* parser::add_subcommand(const std::string& name, const std::string& help) {
    auto added = std::make_unique<state>(state_->app->add_subcommand(name, help));
    state_->commands.push_back(std::unique_ptr<parser>(new parser(std::move(added))));
    return state_->commands.back().get();
}

void parser::require_subcommand() {
    state_->app->require_subcommand(1);
}

void parser::set_version_flag(const std::string& names, const std::string& version) {
    state_->app->set_version_flag(names, version);
}

void parser::footer(const std::string& text) {
    state_->app->footer(text);
}

void parser::callback(const std::function<void()>& parsed) {
    state_->app->callback(parsed);
}

bool parser::parse(int argc, const char* const* argv) {
    try {
        state_->app->parse(argc, argv);
        return true;
    } catch (const CLI::Success& asked) { // --help and --version
        state_->app->exit(asked);
        return false;
    } catch (const CLI::ParseError& e) {
        throw usage_error(e.what());
    }
}

std::string parser::command_name() const {
    std::string name = state_->app->get_name();
    for (auto used = state_->app->get_subcommands(); !used.empty(); used = used.front()->get_subcommands())
        name += " " + used.front()->get_name();
    return name;
}

} // namespace elbo::cli
