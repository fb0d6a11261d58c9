#include "host/cli/vae/options.hpp"

#include "elbo/error.hpp"
#include "host/cli/core/options.hpp"
#include "host/vae/model/fields.hpp"
#include "host/vae/train/fields.hpp"
#include "kernels/math/likelihood/families.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <string_view>

namespace elbo::cli {

namespace {

// "200,200", or "none" for a linear map.
std::vector<std::int64_t> widths_from_string(const char* option, const std::string& text) {
    std::vector<std::int64_t> widths;
    if (text == "none")
        return widths;
    const char* at = text.data();
    const char* end = at + text.size();
    while (true) {
        std::int64_t width = 0;
        const auto [stopped, problem] = std::from_chars(at, end, width);
        if (problem != std::errc() || (stopped != end && *stopped != ','))
            throw invalid_argument(
                fmt::format("{} {}: expected widths of layers, as in 200,200, or none", option, text));
        widths.push_back(width);
        if (stopped == end)
            return widths;
        at = stopped + 1;
    }
}

void set_schedule(vae::schedule& schedule, const std::string& name) {
    if (name == "burda") {
        const std::int64_t warm_up = schedule.warm_up_steps;
        schedule = vae::schedule::burda();
        schedule.warm_up_steps = warm_up;
        return;
    }
    for (const auto form : {vae::schedule::kind::constant, vae::schedule::kind::steps, vae::schedule::kind::cosine})
        if (name == to_string(form)) {
            schedule.form = form;
            return;
        }
    throw invalid_argument(fmt::format("--schedule {}: expected constant, steps, cosine or burda", name));
}

/// --likelihood, and --sigma, --blocks, ... for its members.
void add_likelihood_options(parser& app, vae::likelihood& form) {
    for_each_field<vae::likelihood>([&](const auto& f) {
        using type = std::remove_cvref_t<decltype(form.*f.member)>;
        std::string name = f.name == "scale" ? "gaussian_scale" : std::string(f.name);
        std::replace(name.begin(), name.end(), '_', '-');
        const char* const value = is_list<type> ? "A,B,..." : named<type> ? "NAME" : "NUMBER";
        add_field(app, "--" + name, form, f.member, value, "Model");
    });
}

} // namespace

void architecture_options::add_options(parser& app) {
    constexpr const char* group = "Model";
    using a = vae::architecture;
    add_likelihood_options(app, typed.likelihood);
    app.add_option("--latent", latent, help_of(&a::latent), "L", group);
    app.add_option("--encoder", encoder, help_of(&a::encoder), "A,B,...", group);
    app.add_option("--decoder", decoder, help_of(&a::decoder), "A,B,...", group);
    add_field(app, "--activation", typed, &a::hidden, "NAME", group);
    add_field(app, "--decoder-form", typed, &a::decoder_form, "NAME", group);
    app.add_option("--encoder-input", encoder_input, help_of(&a::encoder_input), "NAME", group);
}

vae::architecture architecture_options::parsed(std::int64_t dimensions) const {
    vae::architecture a = typed;
    a.dimensions = dimensions;
    a.encoder = widths_from_string("--encoder", encoder);
    a.decoder = a.encoder;
    std::reverse(a.decoder.begin(), a.decoder.end());
    if (!decoder.empty())
        a.decoder = widths_from_string("--decoder", decoder);
    std::vector<std::int64_t>& blocks = a.likelihood.blocks;
    if (const std::int64_t size = blocks.size() == 1 ? blocks[0] : 0; size > 0 && dimensions % size == 0)
        blocks.assign(static_cast<std::size_t>(dimensions / size), size);
    if (kernels::facts_of(a.likelihood.family).counts)
        a.encoder_input = vae::encoder_input::log1p;
    if (!encoder_input.empty())
        a.encoder_input = vae::encoder_input_from_string(encoder_input);
    const bool sphere = a.decoder_form == vae::decoder_kind::sphere;
    a.latent = latent.value_or(sphere ? dimensions : 2);
    if (sphere) {
        if (!decoder.empty())
            throw invalid_argument(
                fmt::format("--decoder {}: expected none with --decoder-form sphere, which has no layers", decoder));
        a.decoder.clear();
    }
    a.check();
    return a;
}

namespace {

void add_optimizer_options(parser& app, vae::train_options& t, std::string& schedule) {
    constexpr const char* group = "Optimiser";
    using o = vae::optimizer;
    using s = vae::schedule;
    add_field(app, "--optimizer", t.optimizer, &o::kind, "NAME", group);
    add_field(app, "--learning-rate", t.optimizer, &o::learning_rate, "R", group);
    add_field(app, "--beta1", t.optimizer, &o::beta1, "B", group);
    add_field(app, "--beta2", t.optimizer, &o::beta2, "B", group);
    add_field(app, "--epsilon", t.optimizer, &o::epsilon, "E", group);
    add_field(app, "--weight-decay", t.optimizer, &o::weight_decay, "D", group);
    add_field(app, "--momentum", t.optimizer, &o::momentum, "M", group);
    add_field(app, "--clip-norm", t.optimizer, &o::clip_norm, "C", group);
    app.add_option("--schedule", schedule, help_of(&s::form), "FORM", group);
    add_field(app, "--boundaries", t.schedule, &s::boundaries, "A,B,...", group);
    add_field(app, "--factors", t.schedule, &s::factors, "A,B,...", group);
    add_field(app, "--final-factor", t.schedule, &s::final_factor, "F", group);
    add_field(app, "--warm-up-steps", t.schedule, &s::warm_up_steps, "N", group);
    add_field(app, "--average-decay", t, &vae::train_options::average_decay, "D", group);
}

void add_objective_options(parser& app, vae::train_options& t) {
    constexpr const char* group = "Objective";
    using o = vae::train_options;
    add_field(app, "--objective", t, &o::objective, "NAME", group);
    add_field(app, "--estimator", t, &o::estimator, "NAME", group);
    add_field(app, "--samples", t, &o::samples, "S", group);
    add_field(app, "--beta", t, &o::beta, "B", group);
    add_field(app, "--kl-warm-up", t, &o::kl_warm_up_epochs, "E", group);
    add_field(app, "--free-bits", t, &o::free_bits, "L", group);
    add_field(app, "--binarize", t, &o::binarize, "", group);
}

} // namespace

void training_options::add_options(parser& app) {
    constexpr const char* group = "Training";
    using o = vae::train_options;
    using c = vae::checkpoint_options;
    add_field(app, "--epochs", typed, &o::epochs, "E", group);
    add_field(app, "--batch", typed, &o::batch, "B", group);
    add_field(app, "--patience", typed, &o::patience, "E", group);
    add_field(app, "--seed", typed, &o::seed, "S", group);
    add_field(app, "--precision", typed, &o::precision, "TYPE", group);
    app.add_option("--start", start, help_of(&o::start), "MODEL", group);
    add_field(app, "--memory-limit", typed, &o::memory_limit, "BYTES", group);
    add_field(app, "--checkpoint", typed.checkpoint, &c::path, "FILE", group);
    add_field(app, "--checkpoint-every", typed.checkpoint, &c::every_seconds, "SECONDS", group);
    add_field(app, "--checkpoint-epochs", typed.checkpoint, &c::every_epochs, "E", group);
    add_field(app, "--resume", typed, &o::resume, "FILE", group);
    add_objective_options(app, typed);
    add_optimizer_options(app, typed, schedule);
}

vae::train_options training_options::parsed() const {
    vae::train_options t = typed;
    set_schedule(t.schedule, schedule);
    if (!start.empty())
        t.start = vae::model::load(start);
    return t;
}

} // namespace elbo::cli
