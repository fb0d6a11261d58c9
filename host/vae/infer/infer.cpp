// Encoding, decoding and reconstruction, streamed.
#include "elbo/vae/infer.hpp"
#include "host/check.hpp"
#include "host/rows/row_access.hpp"
#include "host/vae/infer/streaming.hpp"
#include "host/vae/rows.hpp"
#include "kernels/shared/memory.hpp"

#include <cmath>
#include <fmt/format.h>

namespace elbo::vae {

using namespace kernels;

namespace {

constexpr std::string_view of_model = "the dimensions of the model";
constexpr std::string_view of_latents = "the latent units of the model";

/// Checked rows of data, batch by batch.
template <class Visit>
void for_each_batch(const context& ctx, const data_source& data, vae_engine& engine, const Visit& visit) {
    const architecture& a = engine.layout.architecture;
    const row_batches feed(ctx, data, a.dimensions, of_model);
    feed.for_each([&](const any_matrix_view& x, std::int64_t first) {
        check_rows(engine.inspect(x), data, first, a);
        visit(vae_rows{x, 0, 0, x.rows, first}, first);
    });
}

/// The two halves of rows of means and log-variances.
struct latent_halves {
    latent_halves(float* both, std::int64_t rows, std::int64_t latent, memory_space space = memory_space::host)
        : mean(both, rows, latent, 2 * latent, space), log_variance(both + latent, rows, latent, 2 * latent, space) {}
    matrix_view<float> mean, log_variance;
};

/// Multiplies rows of means, in any memory, with the sums of rows of data.
void scale_rows(const context& ctx, const any_matrix_view& x, matrix_view<float> means) {
    std::vector<char> staging;
    const any_matrix_view host = on_host(x, staging);
    std::vector<float> scaled(static_cast<std::size_t>(x.rows * x.cols));
    const matrix_view<float> here(scaled.data(), x.rows, x.cols);
    copy(ctx, means, here);
    ctx.wait(); // the host works on them
    for (std::int64_t i = 0; i < x.rows; ++i) {
        double total = 0;
        for (std::int64_t j = 0; j < x.cols; ++j)
            total += io::element(host, i, j);
        for (std::int64_t j = 0; j < x.cols; ++j)
            here(i, j) *= static_cast<float>(total);
    }
    copy(ctx, here, means);
    ctx.wait(); // they are gone when this returns
}

/// Numbers on a device are copied to look at them: points of the latent space are few.
void check_latents(const any_matrix_view& z, const data_source& data, std::int64_t first_row) {
    std::vector<char> staging;
    const any_matrix_view here = on_host(z, staging);
    for (std::int64_t i = 0; i < z.rows; ++i)
        for (std::int64_t j = 0; j < z.cols; ++j)
            expects(std::isfinite(io::element(here, i, j)), [&] {
                return fmt::format("{}: row {}, column {} is {}: expected finite numbers", data.description(),
                                   first_row + i, column_label(data, j), io::element(here, i, j));
            });
}

} // namespace

session::session(const context& ctx, const model& m)
    : ctx(ctx), of(m), engine(make_vae_engine(ctx, make_layout(m.architecture()))) {
    engine->set_parameters(m.parameters());
}

std::int64_t session::piece_rows() const {
    const architecture& a = of.architecture();
    return std::max<std::int64_t>(1, (std::int64_t(1) << 22) / std::max(a.dimensions, a.latent));
}

void session::reconstruct(const vae_rows& rows, matrix_view<float> out) {
    const std::int64_t latent = of.architecture().latent, numbers = rows.rows * 2 * latent;
    if (!latents_ || latents_->size() < numbers) {
        latents_.reset(); // first give back, then ask
        latents_.emplace(ctx, numbers);
    }
    const latent_halves halves(latents_->data(), rows.rows, latent, latents_->space());
    engine->encode(rows, halves.mean, halves.log_variance);
    engine->decode(halves.mean, out);
    ctx.wait();
    if (of.architecture().likelihood.library_size)
        scale_rows(ctx, rows.x, out);
}

row_sink collect(std::vector<float>& out) {
    return [&out](std::int64_t, matrix_view<const float> rows) {
        for (std::int64_t i = 0; i < rows.rows; ++i)
            out.insert(out.end(), rows.row(i), rows.row(i) + rows.cols);
    };
}

// encode ------------------------------------------------------------------------------------------------------------

void encode(const context& ctx, const model& m, const data_source& data, const row_sink& sink) {
    session s(ctx, m);
    const std::int64_t latent = m.architecture().latent;
    std::vector<float> both;
    for_each_batch(ctx, data, *s.engine, [&](const vae_rows& rows, std::int64_t first) {
        both.resize(rows.rows * 2 * latent);
        const latent_halves halves(both.data(), rows.rows, latent);
        s.engine->encode(rows, halves.mean, halves.log_variance);
        ctx.wait();
        sink(first, {both.data(), rows.rows, 2 * latent});
    });
}

latents encode(const context& ctx, const model& m, const data_source& data) {
    latents all;
    const std::int64_t latent = m.architecture().latent;
    encode(ctx, m, data, [&](std::int64_t, matrix_view<const float> rows) {
        for (std::int64_t i = 0; i < rows.rows; ++i) {
            all.mean.insert(all.mean.end(), rows.row(i), rows.row(i) + latent);
            all.log_variance.insert(all.log_variance.end(), rows.row(i) + latent, rows.row(i) + 2 * latent);
        }
    });
    return all;
}

void encode(const context& ctx, const model& m, any_matrix_view x, matrix_view<float> mean,
            matrix_view<float> log_variance) {
    network(ctx, m).encode(x, mean, log_variance);
}

// decode ------------------------------------------------------------------------------------------------------------

void decode(const context& ctx, const model& m, const data_source& z, const row_sink& sink) {
    const architecture& a = m.architecture();
    const session s(ctx, m);
    const row_batches feed(ctx, z, a.latent, of_latents);
    const std::int64_t piece = s.piece_rows(); // the results are wider than the points, as a rule
    std::vector<float> out;
    feed.for_each([&](const any_matrix_view& batch, std::int64_t first) {
        check_latents(batch, z, first);
        for (std::int64_t at = 0; at < batch.rows; at += piece) {
            const std::int64_t rows = std::min(piece, batch.rows - at);
            out.resize(rows * a.dimensions);
            s.engine->decode(batch.slice(at, rows), {out.data(), rows, a.dimensions});
            ctx.wait();
            sink(first + at, {out.data(), rows, a.dimensions});
        }
    });
}

std::vector<float> decode(const context& ctx, const model& m, const data_source& z) {
    std::vector<float> out;
    decode(ctx, m, z, collect(out));
    return out;
}

void decode(const context& ctx, const model& m, any_matrix_view z, matrix_view<float> out) {
    network(ctx, m).decode(z, out);
}

// Both --------------------------------------------------------------------------------------------------------------

void reconstruct(const context& ctx, const model& m, const data_source& data, const row_sink& sink) {
    session s(ctx, m);
    const std::int64_t d = m.architecture().dimensions;
    std::vector<float> out;
    for_each_batch(ctx, data, *s.engine, [&](const vae_rows& rows, std::int64_t first) {
        out.resize(rows.rows * d);
        s.reconstruct(rows, {out.data(), rows.rows, d});
        sink(first, {out.data(), rows.rows, d});
    });
}

std::vector<float> reconstruct(const context& ctx, const model& m, const data_source& data) {
    std::vector<float> out;
    reconstruct(ctx, m, data, collect(out));
    return out;
}

std::vector<float> interpolate(const context& ctx, const model& m, const std::vector<float>& from,
                               const std::vector<float>& to, std::int64_t steps) {
    const architecture& a = m.architecture();
    for (const auto& [name, row] : {std::pair("from", &from), std::pair("to", &to)})
        expects(static_cast<std::int64_t>(row->size()) == a.dimensions, [&, &name = name, &row = row] {
            return fmt::format("{} has {} numbers: expected {}, {}", name, row->size(), a.dimensions, of_model);
        });
    expects("steps", steps, at_least(2));
    std::vector<float> ends = from;
    ends.insert(ends.end(), to.begin(), to.end());
    const std::vector<float> mean = encode(ctx, m, matrix_view<const float>(ends.data(), 2, a.dimensions)).mean;
    std::vector<float> line(steps * a.latent);
    for (std::int64_t i = 0; i < steps; ++i) {
        const double share = static_cast<double>(i) / static_cast<double>(steps - 1);
        for (std::int64_t l = 0; l < a.latent; ++l)
            line[i * a.latent + l] = static_cast<float>((1 - share) * mean[l] + share * mean[a.latent + l]);
    }
    return decode(ctx, m, matrix_view<const float>(line.data(), steps, a.latent));
}

} // namespace elbo::vae
