// A mixture for the commands: how it is opened, and what people (a table, a page) and programs (JSON) see of it.
#pragma once

#include "host/cli/core/apply_command.hpp"
#include "host/gmm/model/model_file.hpp"
#include "host/report/page/mixture_page.hpp"

#include <string>
#include <vector>

namespace elbo::cli {

/// "full, 2 components, 2 dimensions".
std::string describe(const gmm::model& m);

/// Weight, mean and standard deviation of the components; shortened where there are many or many dimensions.
std::string component_text(const gmm::model& m, const std::vector<std::string>& column_names);

/// Names of the columns of the data that the model was fitted to, or x0, x1, ...
std::vector<std::string> column_names_of(const gmm::saved_model& saved);

/// Adds "dimensions", "components" and "family".
void add_shape(json& summary, const gmm::model& m);
/// Adds "weights", "means" and "covariances", nested as the shapes of the arrays are. An array of means or covariances
/// of more than 10,000 numbers is null.
void add_parameters(json& summary, const gmm::model& m);

/// A page with title, points of `data` coloured by component, and who made it. The caller adds what it shows of a fit;
/// `m` must outlive the page.
report::mixture_page make_page(const context& ctx, const gmm::model& m, const data_source& data, fact_list facts,
                               const std::string& command_line);

struct mixture_kind {
    using saved = gmm::saved_model;
    using input = weighted_data;
    static constexpr const char* argument_help = "Model file (.safetensors or .json)";

    static saved load(const std::string& path) { return gmm::load_saved(path); }
    static const std::vector<std::string>& columns(const saved& s) { return s.column_names; }
    static std::int64_t dimensions(const saved& s) { return s.model.dimensions(); }
    static input open(const data_options& data, const model_columns& columns) { return open_data(data, columns); }
    static std::string describe(const saved& s) { return cli::describe(s.model); }
    static void note_on(const context& /*ctx*/, const output_options& /*output*/) {}
    static void add_input(json& /*summary*/, const input& /*rows*/) {}
    static void add_shape(json& summary, const saved& s) { cli::add_shape(summary, s.model); }
    static void add_parameters(json& summary, const saved& s);
    static std::string text(const saved& s);
    static std::string info_page(const saved& s, const std::string& path, const std::string& command_line);
};
extern template class apply_command<mixture_kind>;

/// A command that applies a mixture, with the page of --report.
class mixture_command : public apply_command<mixture_kind> {
protected:
    void add_common(parser& app) {
        apply_command::add_common(app);
        add_report_option(app, output);
    }
    /// The text and a page with these facts.
    static answer with_page(const applied<mixture_kind>& work, std::string text, const fact_list& facts);
};

} // namespace elbo::cli
