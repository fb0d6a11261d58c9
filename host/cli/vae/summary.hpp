// The results of training and evaluation for people and for programs.
#pragma once

#include "host/cli/core/outputs.hpp"
#include "host/cli/mixture/summary/fit_summary.hpp"

#include "elbo/vae/infer.hpp"
#include "elbo/vae/train.hpp"

#include <optional>
#include <string>

namespace elbo::cli {

/// Where and how a model was trained.
struct train_setting {
    std::string command;
    std::string device;
    std::string data; ///< description of the data
    std::int64_t samples = 0;
    std::int64_t validation_samples = 0;
    double scale = 1;
    double seconds_loading = 0;
    const vae::train_options* options = nullptr;
};

/// Names and values of what matters: for standard output and for the page.
fact_list train_facts(const vae::train_result& result, const train_setting& setting);
/// The text for standard output.
std::string train_text(const vae::train_result& result, const train_setting& setting);
/// The JSON summary (docs/command-line.md).
json train_json(const vae::train_result& result, const train_setting& setting);

fact_list evaluation_facts(const vae::evaluation& e);
/// Adds the keys of an evaluation.
void add_evaluation(json& summary, const vae::evaluation& e);

/// "0.35", or "0.2 to 0.9" for one a dimension; empty where there is none.
std::string sigma_text(const vae::model& m);

} // namespace elbo::cli
