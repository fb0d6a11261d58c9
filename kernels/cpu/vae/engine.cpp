// The CPU back end of variational autoencoders: blocked, vectorised, all cores, float32 (contract:
// kernels/contract/vae_engine.hpp). Products in tf32 or bfloat16 would gain nothing here: they are done in float32,
// too.
#include "kernels/contract/vae_engine.hpp"

#include "elbo/error.hpp"
#include "kernels/cpu/core/dispatch.hpp"
#include "kernels/cpu/vae/evaluation.hpp"
#include "kernels/cpu/vae/step.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <new>

namespace elbo::kernels::cpu {

namespace {

class cpu_vae_engine final : public vae_engine {
public:
    cpu_vae_engine(const context& ctx, const vae_layout& l)
        : vae_engine(l), threads_(ctx.threads()), network_(layout, *choose_instruction_set().vae),
          parameters_(layout, network_.kernels), step_(network_, parameters_),
          inference_(network_, parameters_, threads_) {}

    row_report inspect(const any_matrix_view& x) override {
        require_host_memory(x, "x");
        return inspect_rows(layout.architecture.likelihood, x, threads_);
    }

    std::int64_t bytes_needed(const vae_capacity& c) const override {
        return resident_rows::bytes(layout.architecture.dimensions, c) + parameters_.bytes() +
               vae_inference::bytes(layout, parameters_, threads_) +
               (c.batch > 0 ? training_step::bytes(layout, parameters_, c.batch, c.samples) : 0);
    }

    void reserve(const vae_capacity& c) override {
        try {
            resident_.reserve(layout.architecture.dimensions, c);
            if (c.batch > 0) {
                parameters_.want_training();
                step_.reserve(c.batch, c.samples);
            }
        } catch (const std::bad_alloc&) {
            const std::int64_t wanted = bytes_needed(c);
            throw out_of_memory(fmt::format("{} bytes of host memory could not be had", wanted),
                                static_cast<std::uint64_t>(wanted), 0);
        }
    }

    void load(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) override {
        require_host_memory(x, "x");
        resident_.store(dataset, slot, x, threads_);
    }

    void set_parameters(const std::vector<double>& p) override {
        step_.steps = 0;
        parameters_.clear_moments();
        parameters_.set_values(p);
        inference_.forget_likelihood();
    }
    std::vector<double> parameters() override { return parameters_.get(parameters_.values); }

    void set_optimizer(const optimizer_state& s) override {
        step_.steps = s.steps;
        parameters_.want_training();
        parameters_.set(s.first_moment, parameters_.first_moment);
        if (!s.second_moment.empty())
            parameters_.set(s.second_moment, parameters_.second_moment);
        parameters_.average = aligned_array<float>(s.average.empty() ? 0 : parameters_.size());
        if (!s.average.empty())
            parameters_.set(s.average, parameters_.average);
    }
    optimizer_state optimizer() override {
        parameters_.want_training();
        return {step_.steps, parameters_.get(parameters_.first_moment), parameters_.get(parameters_.second_moment),
                parameters_.average.size() > 0 ? parameters_.get(parameters_.average) : std::vector<double>{}};
    }

    std::vector<step_record> train(const vae_settings& s, const train_slice& slice) override {
        const shuffle_order order =
            make_shuffle(s.seed, static_cast<std::uint64_t>(slice.epoch), static_cast<std::uint32_t>(slice.window),
                         static_cast<std::uint64_t>(slice.window_rows));
        vae_settings now = s;
        std::vector<step_record> records;
        inference_.forget_likelihood();
        std::int64_t first = slice.first_position;
        for (const step_schedule& schedule : slice.steps) {
            const std::int64_t last = std::min(first + slice.batch, slice.window_rows);
            const row_source source(resident_, {{}, 0, 0, last - first, slice.first_row}, order, first);
            records.push_back(step_.run({now, schedule.beta, schedule.learning_rate, slice.epoch}, source, threads_));
            if (records.back().not_finite != step_record::term::none)
                break;
            now.scale = records.back().scale;
            first = last;
        }
        return records;
    }

    step_record train_on(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                         const vae_rows& rows) override {
        inference_.forget_likelihood();
        return step_.run({s, step.beta, step.learning_rate, epoch}, row_source(resident_, rows), threads_);
    }

    step_record gradient(const vae_settings& s, double beta, std::int64_t epoch, const vae_rows& rows,
                         std::vector<double>& out) override {
        const step_record record = step_.run({s, beta, 0, epoch, false}, row_source(resident_, rows), threads_);
        out = parameters_.get(parameters_.gradient);
        return record;
    }

    void evaluate(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                  const row_terms& out) override {
        const evaluation_noise noise = make_evaluation_noise(seed, noise_purpose::evaluation_latent, binarize);
        inference_.evaluate(row_source(resident_, rows), samples, noise, out);
    }

    void importance(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed, double* log_bound,
                    double* effective_samples) override {
        const evaluation_noise noise = make_evaluation_noise(seed, noise_purpose::importance_latent, binarize);
        inference_.importance(row_source(resident_, rows), samples, noise, log_bound, effective_samples);
    }

    void encode(const vae_rows& rows, matrix_view<float> mean, matrix_view<float> log_variance) override {
        inference_.encode(row_source(resident_, rows), mean, log_variance);
    }

    void decode(const any_matrix_view& z, matrix_view<float> out) override {
        require_host_memory(z, "z");
        inference_.decode(z, out);
    }

private:
    int threads_;
    resident_rows resident_;
    vae_network network_;
    vae_parameters parameters_;
    training_step step_;
    vae_inference inference_;
};

} // namespace

std::unique_ptr<vae_engine> make_vae(const context& ctx, const vae_layout& layout) {
    return std::make_unique<cpu_vae_engine>(ctx, layout);
}

} // namespace elbo::kernels::cpu
