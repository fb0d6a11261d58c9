// What all pages share: their frame, and some rows of the data.
#include "host/report/page/pages.hpp"

#include "host/report/chart/charts.hpp"
#include "host/rows/row_access.hpp"
#include "kernels/shared/memory.hpp"

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

constexpr std::int64_t batch_rows = 1 << 16;

/// Row i of `count` among n, without overflow.
std::int64_t spaced_row(std::int64_t i, std::int64_t n, std::int64_t count) {
    return i * (n / count) + i * (n % count) / count;
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

const std::string_view style_sheet = R"(
:root { --ink: #1d232b; --soft: #5b6470; --line: #dfe3e8; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 60rem; background: #fff; color: var(--ink);
       font: 16px/1.55 "Source Sans 3", "Inter", "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 0.3rem;
     overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; font-weight: 650; margin: 2.6rem 0 0.6rem; }
.made-by, .note, figcaption { color: var(--soft); font-size: 0.88rem; }
.made-by { margin: 0 0 1.6rem; }
.note { margin: 0.4rem 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 0.9rem 1.5rem; margin: 0;
         padding: 1rem 0; border: solid var(--line); border-width: 1px 0; }
.facts dt { color: var(--soft); font-size: 0.82rem; }
.facts dd { margin: 0; font-size: 1.05rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
svg .grid { stroke: #eceff2; stroke-width: 1; fill: none; }
svg .frame { fill: none; stroke: #9aa2ac; stroke-width: 1; }
svg .tick { font-size: 13px; fill: var(--soft); }
svg .axis { font-size: 14.5px; fill: var(--ink); }
svg .legend { font-size: 13.5px; fill: var(--ink); }
svg .contour { fill: #4c6a86; fill-opacity: 0.085; fill-rule: evenodd; stroke: #4c6a86; stroke-opacity: 0.55;
               stroke-width: 1; }
svg .points { opacity: 0.6; stroke-width: 1.2; }
svg .ellipse { fill: none; stroke-width: 2.2; }
svg .ellipse.thin { stroke-width: 1.5; }
svg .halo { fill: none; stroke: #fff; stroke-width: 4.4; stroke-opacity: 0.75; }
svg .halo.thin { stroke-width: 2.8; }
svg .mean-halo { fill: none; stroke: #fff; stroke-width: 7; stroke-linejoin: round; }
svg .bin { fill: #d5dce3; stroke: #fff; stroke-width: 0.7; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .error-bar { fill: none; stroke-width: 1.2; stroke-opacity: 0.6; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 2; }
svg .total { fill: none; stroke: var(--ink); stroke-width: 2.4; }
svg.badge { display: inline-block; width: 1em; height: 1em; vertical-align: -0.12em; }
.legend-line { margin: 0.3rem 0 0; font-size: 0.92rem; }
.legend-line span { white-space: nowrap; margin-right: 1rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; }
figcaption { margin: 0.1rem 0 0; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(4.8rem, 1fr)); gap: 0.7rem; }
.images figure { text-align: center; }
.images img { width: 100%; image-rendering: pixelated; border: 1px solid var(--line); display: block; }
img.tiles { display: block; max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 0.3rem 1.1rem 0.3rem 0; text-align: right; }
th { font-weight: 600; border-bottom: 1px solid #9aa2ac; }
td { border-bottom: 1px solid #eceff2; }
tr.chosen td { background: #eaf3f9; font-weight: 650; }
td.reason { text-align: left; white-space: normal; color: var(--soft); }
.deviation { color: var(--soft); }
pre { background: #f5f7f9; border: 1px solid var(--line); border-radius: 6px; padding: 0.8rem 1rem; overflow-x: auto;
      font: 0.88rem/1.5 "JetBrains Mono", "DejaVu Sans Mono", Consolas, monospace; white-space: pre-wrap; }
@media print { body { padding: 0; max-width: none; } h2 { break-after: avoid; } figure, svg { break-inside: avoid; } }
)";

std::string page_end(std::string_view command) {
    std::string out;
    if (!command.empty())
        out = fmt::format("<h2>To make this page again</h2>\n<pre>{}</pre>\n", escape(command));
    return out + "</body>\n</html>\n";
}

std::vector<double> gather_rows(const data_source& data, std::int64_t count,
                                const std::function<std::int64_t(std::int64_t)>& r,
                                const std::function<void()>& between) {
    const auto reader = data.read(batch_rows);
    std::vector<double> values;
    values.reserve(static_cast<std::size_t>(count * data.cols()));
    std::vector<char> staging;
    std::int64_t next = 0, first = 0;
    for (any_matrix_view batch = reader->next(); batch.rows > 0 && next < count; batch = reader->next()) {
        if (between)
            between();
        const any_matrix_view rows = on_host(batch, staging);
        for (; next < count && r(next) < first + rows.rows; ++next)
            for (std::int64_t j = 0; j < rows.cols; ++j)
                values.push_back(io::element(rows, r(next) - first, j));
        first += rows.rows;
    }
    return values;
}

std::vector<double> evenly_spaced_rows(const data_source& data, std::int64_t limit,
                                       const std::function<void()>& between) {
    const std::int64_t n = data.rows(), count = std::min(n, limit);
    return gather_rows(
        data, count, [&](std::int64_t i) { return spaced_row(i, n, count); }, between);
}

std::vector<double> evenly_spaced(const std::vector<double>& values, std::int64_t limit) {
    const std::int64_t n = std::ssize(values), count = std::min(n, limit);
    std::vector<double> chosen;
    for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(values[spaced_row(i, n, count)]);
    return chosen;
}

} // namespace elbo::report
