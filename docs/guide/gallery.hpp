// The pictures of docs/guide.md: where they go, and what their chapters share.
#pragma once

#include "host/report/chart/charts.hpp"

#include <elbo/context.hpp>
#include <elbo/data_source.hpp>
#include <elbo/gmm/fit.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace elbo::guide {

/// What a chapter is given.
struct gallery {
    const context& ctx;
    std::filesystem::path data;   ///< the folder tests/data
    std::filesystem::path folder; ///< that pictures are written to

    std::string file(const std::string& name) const { return (data / name).string(); }
    /// Writes an <svg> element of a report as a file of its own: NAME.svg.
    void save(const std::string& name, const std::string& svg) const;
};

/// All numbers of a source, row after row.
std::vector<double> numbers_of(const data_source& data);

/// The names of the 64 columns of grey values in optdigits.
std::vector<std::string> pixel_columns();

/// A curve in the style of component k.
report::curve curve(std::string name, std::int64_t k, std::vector<report::point> points);

/// log10 of what is missing to `best` nats, against iteration: for convergence plots in decades.
std::vector<report::point> missing(const std::vector<gmm::iteration_record>& trace, double best);

// The chapters, in the order of the guide; each writes its pictures and throws if a statement of the guide fails.
void bound(const gallery& g);
void mixtures(const gallery& g);
void knowledge(const gallery& g);
void choices(const gallery& g);
void motion(const gallery& g);
void continuous(const gallery& g);
void autoencoders(const gallery& g);

/// Throws std::runtime_error with the text: a statement of the guide that does not hold.
void holds(bool condition, const char* statement);

} // namespace elbo::guide
