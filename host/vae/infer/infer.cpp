// What a network says: encoding, decoding, reconstruction and samples, streamed, and a session. Every number that is
// drawn is a function of (seed, row, dimension).
#include "elbo/vae/infer.hpp"
#include "host/check.hpp"
#include "host/draws.hpp"
#include "host/rows/row_access.hpp"
#include "host/scoring.hpp"
#include "host/vae/rows.hpp"
#include "kernels/math/likelihood/families.hpp"
#include "kernels/math/vae_random.hpp"
#include "kernels/shared/memory.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <span>

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

/// z ~ N(0, I) for rows first ... [rows x latent].
void draw_latents(std::uint64_t seed, std::int64_t first, std::int64_t rows, std::int64_t latent, float* z) {
    const noise_key key = make_noise_key(seed, noise_purpose::sample_latent, 0);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t l = 0; l < latent; l += 4) {
            float four[4];
            four_normals(noise_words(key, static_cast<std::uint64_t>(first + i), 0, static_cast<std::uint32_t>(l / 4)),
                         four);
            std::copy(four, four + std::min<std::int64_t>(4, latent - l), z + i * latent + l);
        }
}

void check_row_sum(const architecture& a, double sum) {
    const bool is_factor = a.likelihood.library_size;
    expects(is_factor ? sum >= 0 && sum <= 0x1p40 : sum == 1, [&] {
        return fmt::format("row_sum = {}: expected {}", sum,
                           is_factor ? "a number from 0 to 2^40" : "1 for a model without library_size");
    });
}

/// A sink that keeps all rows in `out` [rows x cols], one behind the other.
row_sink collect(std::vector<float>& out) {
    return [&out](std::int64_t, matrix_view<const float> rows) {
        for (std::int64_t i = 0; i < rows.rows; ++i)
            out.insert(out.end(), rows.row(i), rows.row(i) + rows.cols);
    };
}

vae_rows rows_of(const any_matrix_view& x) {
    return {x, 0, 0, x.rows, 0};
}

} // namespace

/// An engine with the parameters of a model, and memory that grows to the largest call.
class session {
public:
    session(const context& ctx, const model& m)
        : ctx(ctx), of(m), engine(make_vae_engine(ctx, make_layout(m.architecture()))) {
        engine->set_parameters(m.parameters());
    }

    /// decode(E_q[z | x]), in memory that the engine can reach; complete when this returns.
    void reconstruct(const vae_rows& rows, matrix_view<float> out) {
        const std::int64_t latent = form().latent, numbers = rows.rows * 2 * latent;
        if (!latents_ || latents_->size() < numbers) {
            latents_.reset(); // first give back, then ask
            latents_.emplace(ctx, numbers);
        }
        const latent_halves halves(latents_->data(), rows.rows, latent, latents_->space());
        engine->encode(rows, halves.mean, halves.log_variance);
        engine->decode(halves.mean, out);
        ctx.wait();
        if (form().likelihood.library_size)
            scale_rows(ctx, rows.x, out);
    }
    /// Rows first ... of the samples with these options, in host memory without gaps.
    void sample(std::int64_t first, std::int64_t rows, const sample_options& options, float* out) {
        const architecture& a = form();
        check_row_sum(a, options.row_sum);
        if (std::ssize(z_) < rows * a.latent)
            z_.resize(static_cast<std::size_t>(rows * a.latent));
        draw_latents(options.seed, first, rows, a.latent, z_.data());
        engine->decode(matrix_view<const float>(z_.data(), rows, a.latent), {out, rows, a.dimensions});
        ctx.wait();
        for (std::int64_t i = 0; a.likelihood.library_size && i < rows * a.dimensions; ++i)
            out[i] *= static_cast<float>(options.row_sum);
        if (options.means)
            return;
        const std::vector<double> own = of.own_parameter();
        const noise_key key = make_noise_key(options.seed, noise_purpose::sample_observation, 0);
        for_independent_rows(rows, a.dimensions, [&](std::int64_t i) {
            const std::span row(out + i * a.dimensions, static_cast<std::size_t>(a.dimensions));
            with_likelihood(a.likelihood.family, [&](auto family) {
                family.draw({key, static_cast<std::uint64_t>(first + i)}, a.likelihood, own, row);
            });
        });
    }
    /// Rows of results that are held at a time.
    std::int64_t piece_rows() const {
        const architecture& a = form();
        return std::max<std::int64_t>(1, (std::int64_t(1) << 22) / std::max(a.dimensions, a.latent));
    }

    const architecture& form() const { return of.architecture(); }

    const context ctx;
    const model of;
    const std::unique_ptr<vae_engine> engine;
    std::vector<float> samples; ///< some rows, on their way

private:
    std::optional<buffer<float>> latents_; ///< [rows x 2 latent]
    std::vector<float> z_;
};

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

// sample ------------------------------------------------------------------------------------------------------------

void sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options, const row_sink& sink) {
    expects("n", n, at_least(1));
    session s(ctx, m);
    const std::int64_t d = m.architecture().dimensions, piece = std::min(n, s.piece_rows());
    std::vector<float> x(piece * d);
    for (std::int64_t first = 0; first < n; first += piece) {
        const std::int64_t rows = std::min(piece, n - first);
        s.sample(first, rows, options, x.data());
        sink(first, {x.data(), rows, d});
    }
}

std::vector<float> sample(const context& ctx, const model& m, std::int64_t n, const sample_options& options) {
    std::vector<float> out;
    sample(ctx, m, n, options, collect(out));
    return out;
}

// A session ---------------------------------------------------------------------------------------------------------

struct network::state : session {
    using session::session;
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
    check_input(ctx, "z", z, state_->form().latent, of_latents);
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
