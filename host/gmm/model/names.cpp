// Names of the enumerations, and their inverses.
#include "elbo/gmm/fit.hpp"
#include "host/name_table.hpp"

#include <array>

namespace elbo::gmm {

namespace {

constexpr std::array<std::pair<family, std::string_view>, 6> families{{{family::full, "full"},
                                                                       {family::diagonal, "diagonal"},
                                                                       {family::spherical, "spherical"},
                                                                       {family::tied, "tied"},
                                                                       {family::tied_diagonal, "tied_diagonal"},
                                                                       {family::tied_spherical, "tied_spherical"}}};
constexpr std::array<std::pair<start_method, std::string_view>, 5> starts{{{start_method::automatic, "automatic"},
                                                                           {start_method::kmeans_plus_plus, "kmeans++"},
                                                                           {start_method::kmeans, "kmeans"},
                                                                           {start_method::random, "random"},
                                                                           {start_method::samples, "samples"}}};
constexpr std::array<std::pair<m_step_method, std::string_view>, 2> m_steps{
    {{m_step_method::closed_form, "closed_form"}, {m_step_method::gradient, "gradient"}}};

} // namespace

std::string_view to_string(family f) {
    return name_of<family>(families, f);
}
family family_from_string(std::string_view name) {
    return value_of<family>(families, name, "family");
}
std::string_view to_string(start_method s) {
    return name_of<start_method>(starts, s);
}
start_method start_method_from_string(std::string_view name) {
    return value_of<start_method>(starts, name, "start");
}
std::string_view to_string(m_step_method m) {
    return name_of<m_step_method>(m_steps, m);
}
m_step_method m_step_method_from_string(std::string_view name) {
    return value_of<m_step_method>(m_steps, name, "M-step");
}
std::string_view to_string(event::kind k) {
    switch (k) {
    case event::kind::empty:
        return "empty";
    case event::kind::singular:
        return "singular";
    case event::kind::identical:
        return "identical";
    case event::kind::far_value:
        return "far_value";
    }
    return "?";
}

} // namespace elbo::gmm
