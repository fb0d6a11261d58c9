#include "docs/guide/gallery.hpp"

#include "host/report/page/pages.hpp"

#include <cmath>
#include <fstream>
#include <stdexcept>

namespace elbo::guide {

void gallery::save(const std::string& name, const std::string& svg) const {
    const std::size_t begin = svg.find("<svg xmlns"), open = svg.find('>', begin) + 1;
    const std::size_t end = svg.find("</svg>", open);
    if (begin == std::string::npos || end == std::string::npos)
        throw std::runtime_error("no picture for " + name);
    // A picture alone brings its own style and a white ground, so that it is readable on dark pages too.
    std::ofstream out(folder / (name + ".svg"), std::ios::binary);
    out << svg.substr(begin, open - begin) << "<style>" << report::style_sheet << "</style>"
        << R"(<rect width="100%" height="100%" fill="#fff"/>)" << svg.substr(open, end - open) << "</svg>\n";
    if (!out.flush())
        throw std::runtime_error("cannot write " + (folder / name).string());
}

std::vector<double> numbers_of(const data_source& data) {
    std::vector<double> numbers;
    const auto reader = data.read(data.rows());
    const any_matrix_view all = reader->next();
    for (std::int64_t i = 0; i < all.rows; ++i)
        for (std::int64_t j = 0; j < all.cols; ++j)
            numbers.push_back(all.type == element_type::float64 ? all.as<double>()(i, j) : all.as<float>()(i, j));
    return numbers;
}

std::vector<std::string> pixel_columns() {
    std::vector<std::string> names;
    for (int j = 0; j < 64; ++j)
        names.push_back(std::to_string(j));
    return names;
}

report::curve curve(std::string name, std::int64_t k, std::vector<report::point> points) {
    return {std::move(name), report::style_of(k), std::move(points)};
}

std::vector<report::point> missing(const std::vector<gmm::iteration_record>& trace, double best) {
    std::vector<report::point> points;
    for (const gmm::iteration_record& record : trace)
        if (best > record.log_likelihood)
            points.push_back({static_cast<double>(record.iteration), std::log10(best - record.log_likelihood)});
    return points;
}

void holds(bool condition, const char* statement) {
    if (!condition)
        throw std::runtime_error(std::string("the guide says what does not hold: ") + statement);
}

} // namespace elbo::guide
