#include "host/report/page/html.hpp"

#include "host/report/chart/svg.hpp"

#include "elbo/version.hpp"

#include <filesystem>
#include <fmt/format.h>

namespace elbo::report {

namespace {

/// Names and values side by side; nothing where there are none.
std::string facts_list(const std::vector<std::pair<std::string, std::string>>& facts) {
    if (facts.empty())
        return {};
    std::string out = "<dl class=\"facts\">\n";
    for (const auto& [name, value] : facts)
        out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
    return out + "</dl>\n";
}

} // namespace

heading completed(heading about, std::string_view what, const context& ctx, const data_source& data) {
    if (about.title.empty())
        about.title = fmt::format("{} {}", what, std::filesystem::path(data.description()).filename().string());
    if (about.made_by.empty())
        about.made_by = fmt::format("elbo {} on {}", version, ctx.name());
    return about;
}

std::string page_begin(const heading& about) {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
           fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n", escape(about.title), style_sheet) +
           fmt::format("<h1>{}</h1>\n<p class=\"made-by\">{}</p>\n", escape(about.title), escape(about.made_by)) +
           facts_list(about.facts);
}

std::string figure(const std::string& picture, std::string_view caption) {
    if (picture.empty())
        return {};
    return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", picture, caption);
}

std::string page_end(std::string_view command) {
    std::string out;
    if (!command.empty())
        out = fmt::format("<h2>To make this page again</h2>\n<pre>{}</pre>\n", escape(command));
    return out + "</body>\n</html>\n";
}

} // namespace elbo::report
