#include "bench/vae/table.hpp"

#include "bench/harness.hpp"
#include "bench/vae/prediction.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <stdexcept>

namespace elbo::bench {

namespace {

constexpr const char* network_i = "784-200-200-50-tanh";
constexpr const char* network_l = "784-1024-1024-128-tanh";
constexpr std::int64_t importance_rows = 100, importance_draws = 5000, evaluated_rows = 60000, other_batch = 512;

/// By precision: float32, tf32, bfloat16.
struct measured {
    const char* network;
    std::int64_t batch;
    std::optional<double> before[3], pytorch[3], target[3];
};
// float32 may take 2.5 times as long as bfloat16, but for L at 8192; tf32 must be faster than PyTorch.
const measured steps[] = {
    {network_i, 100, {258, 277, 369}, {176, 225, 264}, {67.5, 176, 27}},
    {network_i, 512, {294, 302, 391}, {235, 275, 298}, {75, 235, 30}},
    {network_i, 1000, {333, 335, 414}, {281, 346, 374}, {95, 281, 38}},
    {network_i, 8192, {970, 886, 958}, {828, 688, 678}, {275, 688, 110}},
    {network_l, 512, {{}, {}, 1213}, {570, 376, 375}, {275, 376, 110}},
    {network_l, 8192, {{}, {}, 6396}, {4619, 1522, 647}, {1300, 1522, 460}},
};
const char* const other_networks[] = {
    "16-64-2-tanh",         "16-64-64-8-tanh",  "64-256-256-256-16-silu", "256-128-128-32-tanh",
    "256-512-512-64-relu",  "784-400-20-relu",  "784-64-64-64-64-2-tanh", "784-512-512-128-tanh",
    "1024-256-256-50-tanh", "2048-512-64-relu", "4096-64-16-tanh",        "4096-512-512-512-512-128-tanh",
};

constexpr training_precision precisions[] = {training_precision::float32, training_precision::tf32,
                                             training_precision::bfloat16};

std::vector<table_row> make_table() {
    std::vector<table_row> rows;
    for (const measured& m : steps)
        for (int p = 0; p < 3; ++p)
            rows.push_back({m.network, "step", m.batch, precisions[p], m.before[p], m.pytorch[p], m.target[p]});
    rows.push_back({network_i, "importance", importance_rows, training_precision::float32, 41900, 8000, 1500});
    rows.push_back({network_i, "evaluate", evaluated_rows, training_precision::float32, 10600, {}, 1000});
    for (const char* network : other_networks)
        rows.push_back({network, "step", other_batch, training_precision::bfloat16});
    return rows;
}

prediction predict(const table_row& row) {
    const kernels::vae_layout layout = kernels::make_layout(parse_network(row.network));
    if (row.operation == "importance")
        return predict_evaluation(layout, row.batch, importance_draws);
    if (row.operation == "evaluate")
        return predict_evaluation(layout, row.batch, 1);
    return predict_step(layout, {row.batch, 1, row.precision});
}

/// What a step has: kernels, and operations of the products.
struct step_size {
    double kernels, flop;
};
step_size size_of(const char* network) {
    const vae::architecture a = parse_network(network);
    const auto all = step_kernels(kernels::make_layout(a), {other_batch, 1, training_precision::bfloat16});
    return {static_cast<double>(all.size()), static_cast<double>(other_batch) * a.training_flops_per_sample()};
}

/// Seconds that I and L lead to expect: so much a kernel and so much an operation that both come out right.
double interpolated(const char* network, double prediction::*bound) {
    const auto seconds = [&](const char* of) {
        return predict({of, "step", other_batch, training_precision::bfloat16}).*bound;
    };
    const step_size i = size_of(network_i), l = size_of(network_l), own = size_of(network);
    const double a_flop =
        (seconds(network_l) - seconds(network_i) * l.kernels / i.kernels) / (l.flop - i.flop * l.kernels / i.kernels);
    const double a_kernel = (seconds(network_i) - a_flop * i.flop) / i.kernels;
    return a_kernel * own.kernels + a_flop * own.flop;
}

std::string cell(const std::optional<double>& value) {
    return value ? fmt::format("{:g}", *value) : "-";
}

} // namespace

vae::architecture parse_network(const std::string& name) {
    std::vector<std::string> parts = split(name, '-');
    if (parts.size() < 3)
        throw std::invalid_argument("network = " + name + ", expected widths and an activation: 784-200-50-tanh");
    vae::architecture a;
    a.hidden = vae::activation_from_string(parts.back());
    parts.pop_back();
    a.latent = std::stoll(parts.back());
    parts.pop_back();
    a.dimensions = std::stoll(parts.front());
    a.encoder.clear();
    for (std::size_t i = 1; i < parts.size(); ++i)
        a.encoder.push_back(std::stoll(parts[i]));
    a.decoder.assign(a.encoder.rbegin(), a.encoder.rend());
    a.check();
    return a;
}

double forward_macs(const vae::architecture& a, bool decoder_alone) {
    const kernels::vae_layout layout = kernels::make_layout(a);
    double macs = 0;
    for (const kernels::dense_layer& l : layout.decoder)
        macs += static_cast<double>(l.inputs * l.outputs);
    if (!decoder_alone)
        for (const kernels::dense_layer& l : layout.encoder)
            macs += static_cast<double>(l.inputs * l.outputs);
    return macs;
}

const std::vector<table_row>& network_table() {
    static const std::vector<table_row> table = make_table();
    return table;
}

void write_predictions() {
    std::printf(
        "| network | operation, batch | arithmetic | predicted, us | of I and L | measured before | PyTorch | to "
        "reach |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (const table_row& row : network_table()) {
        const prediction p = predict(row);
        const bool other = !row.target;
        const std::string ratio =
            other ? fmt::format("{:.2f} to {:.2f}", p.low / interpolated(row.network.c_str(), &prediction::low),
                                p.high / interpolated(row.network.c_str(), &prediction::high))
                  : "-";
        std::printf("%s\n", fmt::format("| {} | {}, {} | {} | {:.3g} to {:.3g} | {} | {} | {} | {} |", row.network,
                                        row.operation, row.batch, vae::to_string(row.precision), 1e6 * p.low,
                                        1e6 * p.high, ratio, cell(row.before), cell(row.pytorch), cell(row.target))
                                .c_str());
    }
}

} // namespace elbo::bench
