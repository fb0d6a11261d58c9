#include "host/cli/vae/summary.hpp"

#include "host/cli/core/text_table.hpp"
#include "host/cli/vae/apply.hpp"

#include "elbo/version.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace elbo::cli {

namespace {

json value_or_null(const std::optional<double>& value) {
    return value ? json(*value) : json(nullptr);
}

json history_json(const std::vector<vae::epoch_record>& history) {
    json list = json::array();
    for (const vae::epoch_record& r : history)
        list.push_back({{"epoch", r.epoch},
                        {"step", r.step},
                        {"train_elbo", r.train_elbo},
                        {"train_reconstruction", r.train_reconstruction},
                        {"train_kl", r.train_kl},
                        {"train_objective", r.train_objective},
                        {"validation_elbo", value_or_null(r.validation_elbo)},
                        {"validation_reconstruction", value_or_null(r.validation_reconstruction)},
                        {"validation_kl", value_or_null(r.validation_kl)},
                        {"learning_rate", r.learning_rate},
                        {"gradient_norm", r.gradient_norm},
                        {"seconds", r.seconds},
                        {"samples_per_second", r.samples_per_second}});
    return list;
}

std::string stopping(const vae::train_result& result) {
    switch (result.stopped) {
    case vae::train_stop::completed:
        return fmt::format("completed {} epochs, {} steps", result.epochs, result.steps);
    case vae::train_stop::early_stopping:
        return fmt::format("stopped early after {} epochs; the best is epoch {}", result.epochs, result.best_epoch);
    case vae::train_stop::interrupted:
        return fmt::format("interrupted after {} epochs, {} steps", result.epochs, result.steps);
    }
    return {};
}

std::string nats(double value) {
    return fmt::format("{:.4f} nats per sample", value);
}

std::string bits_note(const vae::train_options& o) {
    return o.binarize ? ", binarised anew at each use" : "";
}

std::string objective_text(const vae::train_options& o) {
    std::string text(to_string(o.objective));
    if (o.samples > 1)
        text += fmt::format(", {} draws", o.samples);
    if (o.estimator != vae::gradient_estimator::standard)
        text += fmt::format(", {}", to_string(o.estimator));
    if (o.beta != 1)
        text += fmt::format(", beta {:g}", o.beta);
    if (o.free_bits > 0)
        text += fmt::format(", free bits {:g}", o.free_bits);
    return text;
}

// The epoch whose bound is that of the returned model, the best or the last; none after a stop inside an epoch.
const vae::epoch_record* record_of_result(const vae::train_result& result) {
    const auto found = std::find_if(result.history.rbegin(), result.history.rend(), [&](const vae::epoch_record& r) {
        return r.validation_elbo.value_or(r.train_elbo) == result.elbo;
    });
    return found == result.history.rend() ? nullptr : &*found;
}

// Rows of the record, shortened to about ten lines, always with the first and the last.
std::string history_text(const std::vector<vae::epoch_record>& history) {
    if (history.empty())
        return {};
    constexpr std::size_t wanted = 10;
    const std::size_t step = history.size() / wanted + 1;
    std::vector<std::vector<std::string>> table{{"epoch", "ELBO", "reconstruction", "KL", "validation ELBO"}};
    for (std::size_t i = 0; i < history.size(); ++i) {
        const vae::epoch_record& r = history[i];
        if (i % step == 0 || i + 1 == history.size())
            table.push_back({std::to_string(r.epoch), fmt::format("{:.4f}", r.train_elbo),
                             fmt::format("{:.4f}", r.train_reconstruction), fmt::format("{:.4f}", r.train_kl),
                             r.validation_elbo ? fmt::format("{:.4f}", *r.validation_elbo) : "-"});
    }
    return text_table(table);
}

} // namespace

std::string sigma_text(const vae::model& m) {
    const std::vector<double> sigma = m.sigma();
    if (sigma.empty())
        return {};
    const auto [low, high] = std::minmax_element(sigma.begin(), sigma.end());
    return *low == *high ? fmt::format("{:.6g}", *low) : fmt::format("{:.4g} to {:.4g}", *low, *high);
}

fact_list train_facts(const vae::train_result& result, const train_setting& setting) {
    const bool validated = setting.validation_samples > 0;
    fact_list facts{{"training", stopping(result)},
                    {validated ? "ELBO (validation)" : "ELBO (training)", nats(result.elbo)}};
    if (const vae::epoch_record* r = record_of_result(result)) {
        facts.emplace_back("reconstruction", nats(r->validation_reconstruction.value_or(r->train_reconstruction)));
        facts.emplace_back("KL", nats(r->validation_kl.value_or(r->train_kl)));
    }
    facts.emplace_back("parameters", std::to_string(result.model.architecture().parameters()));
    facts.emplace_back("objective", objective_text(*setting.options) + bits_note(*setting.options));
    if (const std::string sigma = sigma_text(result.model); !sigma.empty())
        facts.emplace_back("sigma", sigma);
    facts.emplace_back("time", fmt::format("{} (load {})", duration_text(result.seconds + setting.seconds_loading),
                                           duration_text(setting.seconds_loading)));
    facts.emplace_back("speed", fmt::format("{:.3g} samples per second", result.samples_per_second));
    return facts;
}

std::string train_text(const vae::train_result& result, const train_setting& setting) {
    return fmt::format("Variational autoencoder of {}: {}, {} samples, on {}\n\n", setting.data,
                       describe(result.model.architecture()), setting.samples, setting.device) +
           text_list(train_facts(result, setting)) + "\n" + history_text(result.history);
}

json train_json(const vae::train_result& result, const train_setting& setting) {
    json summary{{"command", setting.command},
                 {"version", version},
                 {"device", setting.device},
                 {"samples", setting.samples},
                 {"validation_samples", setting.validation_samples},
                 {"scale", setting.scale}};
    add_architecture(summary, result.model.architecture());
    summary["epochs"] = result.epochs;
    summary["steps"] = result.steps;
    summary["stopped"] = to_string(result.stopped);
    summary["best_epoch"] = result.best_epoch;
    summary["elbo"] = result.elbo;
    summary["sigma"] = result.model.sigma();
    summary["samples_per_second"] = result.samples_per_second;
    summary["seconds"] = {{"load", setting.seconds_loading},
                          {"training", result.seconds},
                          {"total", setting.seconds_loading + result.seconds}};
    summary["history"] = history_json(result.history);
    return summary;
}

fact_list evaluation_facts(const vae::evaluation& e) {
    fact_list facts{{"samples", std::to_string(e.rows)},
                    {"ELBO", fmt::format("{} (standard error {:.2g})", nats(e.elbo), e.elbo_standard_error)},
                    {"reconstruction", nats(e.reconstruction)},
                    {"KL", nats(e.kl)},
                    {"active units", fmt::format("{} of {}", e.active_units, e.kl_per_unit.size())}};
    if (e.log_likelihood_bound) {
        facts.emplace_back("log-likelihood bound", fmt::format("{} ({} importance samples, standard error {:.2g})",
                                                               nats(*e.log_likelihood_bound), e.importance_samples,
                                                               e.log_likelihood_standard_error.value_or(0)));
        facts.emplace_back("effective samples", fmt::format("{:.1f}", e.effective_sample_size.value_or(0)));
    }
    return facts;
}

void add_evaluation(json& summary, const vae::evaluation& e) {
    summary["elbo"] = e.elbo;
    summary["elbo_standard_error"] = e.elbo_standard_error;
    summary["reconstruction"] = e.reconstruction;
    summary["kl"] = e.kl;
    summary["kl_per_unit"] = e.kl_per_unit;
    summary["unit_activity"] = e.unit_activity;
    summary["active_units"] = e.active_units;
    if (!e.log_likelihood_bound)
        return;
    summary["importance_samples"] = e.importance_samples;
    summary["log_likelihood_bound"] = *e.log_likelihood_bound;
    summary["log_likelihood_standard_error"] = value_or_null(e.log_likelihood_standard_error);
    summary["effective_sample_size"] = value_or_null(e.effective_sample_size);
}

} // namespace elbo::cli
