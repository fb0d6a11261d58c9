// Models with continuous latent variables as the commands take them: which kind, is told by the file.
#pragma once

#include "host/cli/core/apply_command.hpp"
#include "host/latent/file.hpp"

namespace elbo::cli {

using latent_model = std::variant<latent::factor_model, latent::sphere_model>;

/// Kinds as --model takes them; those of factors stand in the order of latent::factor_kind.
inline const std::vector<std::string> latent_kinds{"ppca", "factors", "factor-mixture", "sphere"};

struct latent_facts {
    const std::string& kind;
    std::int64_t dimensions, components;
    std::int64_t latent; ///< numbers of the latent variable: L, or d of a sphere's direction
    std::int64_t parameters;
};
latent_facts facts_of(const latent_model& m);
/// "factor-mixture, 3 components, 10 dimensions, 2 latent".
std::string describe(const latent_model& m);
/// What there is to read of the parameters, for standard output.
std::string parameter_text(const latent_model& m, const std::vector<std::string>& column_names);

/// Adds model kind, dimensions, components and latent.
void add_shape(json& summary, const latent_model& m);
/// Adds the arrays of parameters, nested as their shapes are; null in place of more than 10,000 numbers.
void add_parameters(json& summary, const latent_model& m);

struct latent_kind {
    using saved = latent::saved<latent_model>;
    static constexpr const char* argument_help = "Model file (.safetensors or .json)";

    /// Throws file_error, also for a file that holds another model.
    static saved load(const std::string& path);
    static const std::vector<std::string>& columns(const saved& s) { return s.column_names; }
    static std::int64_t dimensions(const saved& s) { return facts_of(s.model).dimensions; }
    static std::string describe(const saved& s) { return cli::describe(s.model); }
    /// Notes on standard error that the BLAS, which does the products of these models on the CPU, leaves much of the
    /// processor unused, and the cure. Not where OPENBLAS_CORETYPE is set: then somebody has chosen.
    static void note_on(const context& ctx, const output_options& output);
    static void add_shape(json& summary, const saved& s) { cli::add_shape(summary, s.model); }
    static void add_parameters(json& summary, const saved& s);
    static std::string text(const saved& s);
};
extern template class apply_command<latent_kind>;

} // namespace elbo::cli
