// The CUDA back end of variational autoencoders.
#pragma once

#include "kernels/cuda/gmm/rows/staging.hpp"
#include "kernels/cuda/vae/bound/bound.hpp"
#include "kernels/cuda/vae/rows.hpp"
#include "kernels/cuda/vae/train/training.hpp"

#include <algorithm>
#include <optional>

namespace elbo::kernels::cuda {

/// Pairs of (row, draw) that evaluation has in memory at a time, and rows of d numbers: fewer where they are long.
inline constexpr std::int64_t evaluation_pairs = 4096;
inline std::int64_t evaluation_rows(std::int64_t d) {
    return std::clamp<std::int64_t>((std::int64_t(1) << 22) / d, 1024, evaluation_pairs);
}

class cuda_vae_engine final : public vae_engine {
public:
    cuda_vae_engine(const vae_layout& l, const state_pointer& state);

    row_report inspect(const any_matrix_view& x) override;
    std::int64_t bytes_needed(const vae_capacity& c) const override;
    void reserve(const vae_capacity& c) override;
    void load(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) override;

    void set_parameters(const std::vector<double>& p) override;
    std::vector<double> parameters() override;
    void set_optimizer(const optimizer_state& s) override;
    optimizer_state optimizer() override;

    std::vector<step_record> train(const vae_settings& s, const train_slice& slice) override;
    step_record train_on(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                         const vae_rows& rows) override;
    step_record gradient(const vae_settings& s, double beta, std::int64_t epoch, const vae_rows& rows,
                         std::vector<double>& out) override;

    std::vector<std::string> products() const override;

    void evaluate(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed,
                  const row_terms& out) override;
    void importance(const vae_rows& rows, std::int64_t samples, bool binarize, std::uint64_t seed, double* log_bound,
                    double* effective_samples) override;
    void encode(const vae_rows& rows, matrix_view<float> mean, matrix_view<float> log_variance) override;
    void decode(const any_matrix_view& z, matrix_view<float> out) override;

private:
    void describe_fault(const any_matrix_view& x, std::int64_t row, row_report& report);
    row_source resident(std::int64_t dataset, std::int64_t slot) const;
    /// Rows begin ... begin + count − 1 as the device can read them.
    row_source prepare(const vae_rows& rows, std::int64_t begin, std::int64_t count);
    /// `scale`: of the rows before the first step.
    void send_plan(slice_plan plan, const std::vector<step_schedule>& schedule, const running_scale& scale = {});
    slice_plan training_plan(const vae_settings& s, std::int64_t epoch) const;
    /// Averages and rounded weights, where the settings ask for them.
    void prepare_training(const vae_settings& s);
    void run_steps(const vae_settings& s, std::int64_t batch, std::int64_t steps);
    /// Drops the graphs of other steps than these.
    void keep_graphs(const vae_settings& s, std::int64_t batch);
    /// `times` times as many steps as `graph` has, which is made where it is missing.
    void run_graph(unique_graph_exec& graph, std::int64_t steps, std::int64_t times);
    std::vector<step_record> take_records(const vae_settings& s, std::int64_t steps, bool moved);
    step_record one_step(const vae_settings& s, const step_schedule& step, std::int64_t epoch, const vae_rows& rows,
                         bool moves);
    /// Calls use(pass, begin) for chunks of encoded rows.
    template <class Use>
    void for_each_chunk(const vae_rows& rows, const evaluation_noise& noise, Use use);
    /// All draws of a chunk, added up on the device.
    void add_all_draws(pass p, const noise_key& noise, std::int64_t samples, const row_sums& sums);
    /// The same in one kernel, where bound_ is.
    void add_bound_draws(const pass& p, const noise_key& noise, std::int64_t samples, const row_sums& sums);
    /// Makes the weights ready for that.
    void prepare_bound();
    void set_vector(float* to, const std::vector<double>& from);
    std::vector<double> get_vector(const float* from);
    void wait() { internal::wait_for(*state_); }

    state_pointer state_;
    vae_network network_;
    device_buffer<slice_plan> plan_;
    device_buffer<slice_state> slice_;
    device_buffer<step_schedule> schedule_;
    device_buffer<step_record> records_;
    device_buffer<row_survey> survey_;
    device_buffer<double> column_sums_;
    pass_owner evaluation_;
    bound_memory bound_;         ///< empty where its kernel does not suit
    device_buffer<float> input_; ///< given rows
    staging staging_;
    std::optional<vae_training> training_;
    row_storage storage_ = row_storage::float32;
    std::vector<device_buffer<unsigned char>> data_;
    std::int64_t steps_ = 0; ///< of the optimiser
    bool has_average_ = false, rounded_is_stale_ = true;

    /// Graphs of one step and of several, and what they were built for.
    unique_graph_exec one_step_, several_steps_;
    vae_settings graph_settings_;
    std::int64_t graph_batch_ = 0;
};

} // namespace elbo::kernels::cuda
