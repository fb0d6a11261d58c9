// A session of inference with a network.
#include "elbo/vae/infer.hpp"
#include "host/check.hpp"
#include "host/result_rows.hpp"
#include "host/vae/infer/streaming.hpp"
#include "host/vae/rows.hpp"

#include <algorithm>
#include <vector>

namespace elbo::vae {

using namespace kernels;

namespace {

constexpr std::string_view of_model = "the dimensions of the model";

vae_rows rows_of(const any_matrix_view& x) {
    return {x, 0, 0, x.rows, 0};
}

} // namespace

struct network::state : session {
    using session::session;
    std::vector<float> samples; ///< some rows, on their way

    const architecture& form() const { return of.architecture(); }
};

network::network(const context& ctx, const model& m) : state_(new state(ctx, m)) {}
network::network(network&&) noexcept = default;
network& network::operator=(network&&) noexcept = default;
network::~network() = default;

void network::check(const any_matrix_view& x) {
    check_input(state_->ctx, "x", x, state_->form().dimensions, of_model);
    check_rows(state_->engine->inspect(x), data_source(x), 0, state_->form());
}

void network::encode(const any_matrix_view& x, matrix_view<float> mean, matrix_view<float> log_variance) {
    const context& ctx = state_->ctx;
    check_input(ctx, "x", x, state_->form().dimensions, of_model);
    check_result(ctx, "mean", mean, x.rows, state_->form().latent);
    check_result(ctx, "log_variance", log_variance, x.rows, state_->form().latent);
    state_->engine->encode(rows_of(x), mean, log_variance);
    ctx.wait();
}

void network::decode(const any_matrix_view& z, matrix_view<float> out) {
    const context& ctx = state_->ctx;
    check_input(ctx, "z", z, state_->form().latent, "the latent units of the model");
    check_result(ctx, "out", out, z.rows, state_->form().dimensions);
    state_->engine->decode(z, out);
    ctx.wait();
}

void network::reconstruct(const any_matrix_view& x, matrix_view<float> out) {
    check_input(state_->ctx, "x", x, state_->form().dimensions, of_model);
    check_result(state_->ctx, "out", out, x.rows, state_->form().dimensions);
    state_->reconstruct(rows_of(x), out);
}

void network::sample(std::int64_t first, const sample_options& options, matrix_view<float> out) {
    state& s = *state_;
    const std::int64_t d = s.form().dimensions, step = s.piece_rows();
    expects("first", first, at_least(0));
    check_result(s.ctx, "out", out, out.rows, d);
    s.samples.resize(std::max<std::size_t>(s.samples.size(), std::min(step, out.rows) * d));
    for (std::int64_t at = 0; at < out.rows; at += step) {
        const std::int64_t rows = std::min(step, out.rows - at);
        s.sample(first + at, rows, options, s.samples.data());
        copy<float>(s.ctx, matrix_view<const float>(s.samples.data(), rows, d), out.slice(at, rows));
        s.ctx.wait(); // the memory is used again
    }
}

} // namespace elbo::vae
