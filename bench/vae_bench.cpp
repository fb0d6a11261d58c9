// Times the operations of variational autoencoders on one back end, after it has checked them against the reference
// back end:
//
//   vae_bench [--network=NAME,...] [--operation=step|epoch|evaluate|importance|encode|decode,...] [--batch=B,...]
//             [--rows=N] [--draws=S] [--arithmetic=float32|tf32|bfloat16] [--storage=bits|bytes|float32]
//             [--table] [--predictions] [--bound_steps=N]
//             [--backend=cpu|cuda] [--threads=T] [--clock=wall|cpu] [--quick] [options of Google Benchmark]
//
// Networks are written as widths from the data to the latent space and the activation, 784-200-200-50-tanh; the decoder
// mirrors the encoder. Data are binary, the likelihood bernoulli, the optimiser Adam, one draw a row. Every combination
// is one benchmark:
//
//   step/NETWORK/BATCH        steps_per_run optimiser steps on resident, shuffled rows
//   epoch/NETWORK/BATCH       all N rows once
//   evaluate/NETWORK/N        ELBO of N rows
//   encode/NETWORK/N, decode/NETWORK/N
//   importance/NETWORK/RxS    the importance bound of min(N, 100) rows with S draws each
//
// --table takes networks, batches and arithmetic from a list for GPUs instead (vae/table.hpp), the arithmetic as the
// end of the name, on the CPU float32 alone. --predictions measures nothing and writes what they should take on one
// H200 (vae/prediction.hpp) beside what was measured and is aimed at. --bound_steps trains so many steps first; the
// counter bound is the mean of the last ten. For the other counters see harness.hpp; on a GPU predicted_seconds_low and
// _high stand beside seconds.
#include "bench/harness.hpp"
#include "bench/vae/prediction.hpp"
#include "bench/vae/table.hpp"
#include "elbo/vae/train.hpp"
#include "host/draws.hpp"
#include "kernels/contract/vae_engine.hpp"
#include "kernels/math/philox.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace elbo::bench {

namespace {

using kernels::vae_engine;
using kernels::vae_rows;

/// What the command line asks for.
struct request {
    settings common;
    std::vector<std::string> networks{"784-200-200-50-tanh", "784-400-20-relu"};
    std::vector<std::string> operations{"step", "epoch", "evaluate", "importance", "encode", "decode"};
    std::vector<std::int64_t> batches{100, 1000};
    std::int64_t rows = 60000, draws = 5000, bound_steps = 0;
    bool table = false, predictions = false;
    vae::training_precision arithmetic = vae::training_precision::float32;
    kernels::row_storage storage = kernels::row_storage::bits;
};

/// One benchmark of it.
struct network_case {
    request asked;
    std::string operation, network;
    vae::architecture architecture;
    std::int64_t rows, batch;
};

kernels::row_storage parse_storage(const std::string& name) {
    if (name == "bits")
        return kernels::row_storage::bits;
    if (name == "bytes")
        return kernels::row_storage::bytes;
    if (name == "float32")
        return kernels::row_storage::float32;
    throw std::invalid_argument("storage = " + name + ", expected bits, bytes or float32");
}

std::map<std::string, option> own_options(request& r) {
    return {{"network", [&r](const std::string& v) { r.networks = split(v, ','); }},
            {"operation", [&r](const std::string& v) { r.operations = split(v, ','); }},
            {"batch",
             [&r](const std::string& v) {
                 r.batches.clear();
                 for (const std::string& number : split(v, ','))
                     r.batches.push_back(std::stoll(number));
             }},
            {"rows", [&r](const std::string& v) { r.rows = std::stoll(v); }},
            {"bound_steps", [&r](const std::string& v) { r.bound_steps = std::stoll(v); }},
            {"table", [&r](const std::string&) { r.table = true; }},
            {"predictions", [&r](const std::string&) { r.predictions = true; }},
            {"draws", [&r](const std::string& v) { r.draws = std::stoll(v); }},
            {"arithmetic", [&r](const std::string& v) { r.arithmetic = vae::training_precision_from_string(v); }},
            {"storage", [&r](const std::string& v) { r.storage = parse_storage(v); }}};
}

/// Binary rows of which a fifth is set.
std::vector<float> make_rows(std::int64_t rows, std::int64_t d) {
    std::vector<float> x(rows * d);
    for_independent_rows(rows * d, 1, [&](std::int64_t i) {
        const auto words = kernels::random_block(1, kernels::random_purpose::sample_noise, i);
        x[i] = words.word[0] < 0x33333333u ? 1.0f : 0.0f;
    });
    return x;
}

kernels::vae_settings settings_of(const network_case& c) {
    kernels::vae_settings s;
    s.precision = c.asked.arithmetic;
    return s;
}

std::unique_ptr<vae_engine> make_engine(const context& ctx, const network_case& c, const std::vector<float>& x,
                                        std::int64_t rows, std::int64_t batch) {
    const std::int64_t d = c.architecture.dimensions;
    auto engine = kernels::make_vae_engine(ctx, kernels::make_layout(c.architecture));
    kernels::vae_capacity capacity;
    capacity.batch = batch;
    capacity.slots = {rows};
    capacity.storage = c.asked.storage;
    engine->reserve(capacity);
    engine->load(0, 0, matrix_view<const float>(x.data(), rows, d));
    engine->set_parameters(vae::model(c.architecture, 1, std::vector<double>(d, 0.2)).parameters());
    return engine;
}

/// Roundings in the longest chain that a gradient goes through: twice the terms of each layer's sums, with the
/// products' own unit roundoff in tf32 and bfloat16.
double gradient_bound(const network_case& c, std::int64_t batch) {
    const kernels::vae_layout layout = kernels::make_layout(c.architecture);
    double terms = static_cast<double>(batch);
    for (const auto* layers : {&layout.encoder, &layout.decoder})
        for (const kernels::dense_layer& l : *layers)
            terms += 2 * static_cast<double>(l.inputs + l.outputs);
    const double products = c.asked.arithmetic == vae::training_precision::float32 ? 0
                            : c.asked.arithmetic == vae::training_precision::tf32  ? 0x1p-11
                                                                                   : 0x1p-8;
    const double layers = static_cast<double>(2 * (layout.encoder.size() + layout.decoder.size()));
    return terms * 0x1p-24 + layers * products;
}

/// ‖g − g_reference‖ / ‖g_reference‖ of the gradient on a few rows, as a share of its bound.
double check(const network_case& c, const std::vector<float>& x) {
    const std::int64_t rows = std::min<std::int64_t>(c.rows, 64);
    std::vector<double> gradient[2];
    for (int e = 0; e < 2; ++e) {
        const auto engine = make_engine(e == 0 ? context::reference() : make_context(c.asked.common), c, x, rows, rows);
        vae_rows batch;
        batch.rows = rows;
        engine->gradient(settings_of(c), 1, 0, batch, gradient[e]);
    }
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < gradient[0].size(); ++i) {
        error += std::pow(gradient[1][i] - gradient[0][i], 2);
        norm += std::pow(gradient[0][i], 2);
    }
    return std::sqrt(error / norm) / gradient_bound(c, rows);
}

bool on_gpu(const network_case& c) {
    return c.asked.common.backend == "cuda";
}
void show(const prediction& expected, double times, operation& o) {
    o.counters["predicted_seconds_low"] = times * expected.low;
    o.counters["predicted_seconds_high"] = times * expected.high;
}

/// Mean bound of the last ten of c.asked.bound_steps steps from the start.
double bound_after(const network_case& c, vae_engine& engine, kernels::train_slice slice) {
    const std::int64_t epoch_steps = c.rows / c.batch, counted = std::min<std::int64_t>(10, c.asked.bound_steps);
    double sum = 0;
    slice.steps.assign(1, {1e-3, 1});
    for (std::int64_t i = 0; i < c.asked.bound_steps; ++i) {
        slice.epoch = i / epoch_steps;
        slice.first_position = i % epoch_steps * c.batch;
        const kernels::step_record record = engine.train(settings_of(c), slice).front();
        if (i >= c.asked.bound_steps - counted)
            sum += (record.reconstruction - record.kl) / static_cast<double>(record.rows);
    }
    return sum / static_cast<double>(counted);
}

/// Optimiser steps: as many as one epoch has, or ten.
operation training_operation(const network_case& c, const std::shared_ptr<vae_engine>& engine) {
    const std::int64_t epoch_steps = (c.rows + c.batch - 1) / c.batch;
    const std::int64_t steps = c.operation == "epoch" ? epoch_steps : std::min<std::int64_t>(10, c.rows / c.batch);
    const double rows = c.operation == "epoch" ? static_cast<double>(c.rows) : static_cast<double>(steps * c.batch);
    kernels::train_slice slice;
    slice.window_rows = c.rows;
    slice.batch = c.batch;
    slice.steps.assign(steps, {1e-3, 1});
    const auto next = std::make_shared<kernels::train_slice>(slice);
    operation o;
    if (c.asked.bound_steps > 0)
        o.counters["bound"] = bound_after(c, *engine, slice);
    o.run = [engine, next, s = settings_of(c), rows = c.rows] {
        const auto records = engine->train(s, *next);
        if (records.back().not_finite != kernels::step_record::term::none)
            throw std::runtime_error("the bound is no longer finite");
        next->first_position += next->batch * static_cast<std::int64_t>(next->steps.size());
        if (next->first_position + next->batch * static_cast<std::int64_t>(next->steps.size()) > rows)
            next->first_position = 0, ++next->epoch;
    };
    o.flop = rows * c.architecture.training_flops_per_sample();
    o.counters["rows"] = rows;
    o.counters["steps_per_run"] = static_cast<double>(steps);
    if (on_gpu(c))
        show(predict_step(engine->layout, {c.batch, 1, c.asked.arithmetic}), static_cast<double>(steps), o);
    return o;
}

operation inference_operation(const network_case& c, const std::shared_ptr<vae_engine>& engine,
                              std::shared_ptr<std::vector<float>> x) {
    const std::int64_t d = c.architecture.dimensions, latent = c.architecture.latent;
    vae_rows rows;
    rows.rows = c.operation == "importance" ? std::min<std::int64_t>(c.rows, 100) : c.rows;
    const auto count = static_cast<double>(rows.rows);
    const auto terms = std::make_shared<std::vector<double>>(2 * rows.rows);
    operation o;
    o.counters["rows"] = count;
    if (c.operation == "importance") {
        o.run = [=, draws = c.asked.draws] {
            engine->importance(rows, draws, false, 1, terms->data(), terms->data() + rows.rows);
        };
        o.flop = 2 * count * static_cast<double>(c.asked.draws) * forward_macs(c.architecture, true);
        if (on_gpu(c))
            show(predict_evaluation(engine->layout, rows.rows, c.asked.draws), 1, o);
    } else if (c.operation == "evaluate") {
        o.run = [=] {
            kernels::row_terms out;
            out.reconstruction = terms->data();
            out.kl = terms->data() + rows.rows;
            engine->evaluate(rows, 1, false, 1, out);
        };
        o.flop = 2 * count * forward_macs(c.architecture, false);
        if (on_gpu(c))
            show(predict_evaluation(engine->layout, rows.rows, 1), 1, o);
    } else if (c.operation == "encode") {
        const auto out = std::make_shared<std::vector<float>>(2 * rows.rows * latent);
        o.run = [=] {
            engine->encode(rows, {out->data(), rows.rows, latent},
                           {out->data() + rows.rows * latent, rows.rows, latent});
        };
        o.flop = 2 * count * (forward_macs(c.architecture, false) - forward_macs(c.architecture, true));
    } else {
        // The data's memory serves twice: its front as latents, the result goes elsewhere.
        const auto out = std::make_shared<std::vector<float>>(rows.rows * d);
        o.run = [=] {
            engine->decode(matrix_view<const float>(x->data(), rows.rows, latent), {out->data(), rows.rows, d});
        };
        o.flop = 2 * count * forward_macs(c.architecture, true);
    }
    return o;
}

operation make_operation(const network_case& c) {
    const auto x = std::make_shared<std::vector<float>>(make_rows(c.rows, c.architecture.dimensions));
    const double error = check(c, *x);
    const context ctx = make_context(c.asked.common);
    const std::shared_ptr<vae_engine> engine = make_engine(ctx, c, *x, c.rows, std::min(c.batch, c.rows));
    operation o = c.operation == "step" || c.operation == "epoch" ? training_operation(c, engine)
                                                                  : inference_operation(c, engine, x);
    o.error_share = error;
    return o;
}

std::string name_of(const network_case& c) {
    if (c.operation == "step" || c.operation == "epoch")
        return fmt::format("{}/{}/{}", c.operation, c.network, c.batch);
    if (c.operation == "importance")
        return fmt::format("importance/{}/{}x{}", c.network, std::min<std::int64_t>(c.rows, 100), c.asked.draws);
    return fmt::format("{}/{}/{}", c.operation, c.network, c.rows);
}

/// Every row of the list, in the arithmetic that the back end has.
void add_table(const request& r) {
    for (const table_row& t : network_table()) {
        request own = r;
        own.arithmetic = t.precision;
        if (r.common.backend != "cuda" && t.precision != vae::training_precision::float32)
            continue;
        const network_case c{own, t.operation, t.network, parse_network(t.network), r.rows, t.batch};
        add(r.common, fmt::format("{}/{}", name_of(c), vae::to_string(t.precision)), [c] { return make_operation(c); });
    }
}

void add_all(request& r) {
    if (r.predictions)
        return write_predictions();
    if (r.table)
        return add_table(r);
    if (r.common.quick) {
        r.networks = {"20-9-3-tanh"};
        r.rows = 200, r.draws = 40, r.batches = {33};
    }
    for (const std::string& network : r.networks)
        for (const std::string& operation : r.operations) {
            const bool trains = operation == "step" || operation == "epoch";
            const bool infers =
                operation == "evaluate" || operation == "importance" || operation == "encode" || operation == "decode";
            if (!trains && !infers)
                throw std::invalid_argument("unknown operation " + operation);
            for (const std::int64_t batch : trains ? r.batches : std::vector<std::int64_t>{1}) {
                const network_case c{r, operation, network, parse_network(network), r.rows, batch};
                add(r.common, name_of(c), [c] { return make_operation(c); });
            }
        }
}

} // namespace

} // namespace elbo::bench

int main(int argc, char** argv) {
    elbo::bench::request r;
    return elbo::bench::run_program(argc, argv, r.common, own_options(r), [&] { add_all(r); });
}
