#include "kernels/cuda/vae/engine.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/core/graph.hpp"
#include "kernels/shared/vae_rows.hpp"

#include <algorithm>
#include <tuple>

namespace elbo::kernels::cuda {

namespace {

/// Steps of the longer graph: launching it takes the host a few microseconds, its steps more than a hundred.
inline constexpr std::int64_t steps_of_graph = 8;

std::int64_t input_rows_of(std::int64_t batch, std::int64_t d) {
    return std::max(batch, evaluation_rows(d));
}

/// Whether a graph that was built for `a` does the steps of `b`. What else differs is in the plan.
bool same_steps(const vae_settings& a, const vae_settings& b) {
    const auto built_in = [](const vae_settings& s) {
        const vae::optimizer& o = s.optimizer;
        return std::tie(s.objective, s.estimator, s.samples, s.free_bits, s.precision, s.average_decay, o.kind, o.beta1,
                        o.beta2, o.epsilon, o.weight_decay, o.momentum, o.clip_norm);
    };
    return built_in(a) == built_in(b);
}

} // namespace

cuda_vae_engine::cuda_vae_engine(const vae_layout& l, const state_pointer& state)
    : vae_engine(l), state_(state), network_(state, layout), plan_(state, "the plan of steps", 1),
      slice_(state, "the state of steps", 1), survey_(state, "a survey of rows", 1),
      column_sums_(state, "sums of columns", l.architecture.dimensions),
      evaluation_(state, layout, evaluation_rows(l.architecture.dimensions), evaluation_pairs, false),
      bound_(state, layout, evaluation_rows(l.architecture.dimensions)),
      input_(state, "given rows", input_rows_of(0, l.architecture.dimensions) * padded(l.architecture.dimensions)),
      staging_(state, std::max(l.architecture.dimensions, l.architecture.latent)) {
    set_parameters(std::vector<double>(static_cast<std::size_t>(l.parameters), 0));
}

// Data --------------------------------------------------------------------------------------------------------------

row_report cuda_vae_engine::inspect(const any_matrix_view& x) {
    state_->activate();
    row_survey survey{~0ull, 1, 1};
    row_report report;
    report.column_sums.assign(static_cast<std::size_t>(x.cols), 0);
    copy_async(*state_, survey_.data(), &survey, 1);
    copy_async(*state_, column_sums_.data(), report.column_sums.data(), x.cols);
    staging_.for_each_piece({x, {}, 1}, [&](const device_input& piece, std::int64_t first) {
        survey_rows(*state_, piece.x, first, network_.likelihood({}, false), survey_.data(), column_sums_.data());
    });
    copy_async(*state_, &survey, survey_.data(), 1);
    copy_async(*state_, report.column_sums.data(), column_sums_.data(), x.cols);
    wait(); // the host reads what was found
    report.all_bits = survey.all_bits != 0;
    report.all_bytes = survey.all_bytes != 0;
    if (survey.first_fault != ~0ull)
        describe_fault(x, static_cast<std::int64_t>(survey.first_fault) / x.cols, report);
    return report;
}

/// The row again, on the host: what is wrong with it.
void cuda_vae_engine::describe_fault(const any_matrix_view& x, std::int64_t row, row_report& report) {
    std::vector<double> values(static_cast<std::size_t>(x.cols)); // room for either type
    any_matrix_view one = x.slice(row, 1);
    internal::copy_on_stream(*state_, values.data(), x.cols * x.element_size(), one.data, x.cols * x.element_size(),
                             x.cols * x.element_size(), 1);
    wait(); // the host looks at the row
    one.data = values.data();
    one.stride = x.cols;
    one.space = memory_space::host;
    const row_report fault = inspect_rows(layout.architecture.likelihood, one);
    report.found = fault.found;
    report.row = row;
    report.column = fault.column;
    report.value = fault.value;
}

std::int64_t cuda_vae_engine::bytes_needed(const vae_capacity& c) const {
    const vae::architecture& a = layout.architecture;
    std::int64_t bytes = vae_network::bytes(layout) + 8 * a.dimensions +
                         static_cast<std::int64_t>(sizeof(slice_plan) + sizeof(slice_state) + sizeof(row_survey)) +
                         pass_owner::bytes(layout, evaluation_rows(a.dimensions), evaluation_pairs, false) +
                         bound_memory::bytes(*state_, layout, evaluation_rows(a.dimensions)) +
                         4 * input_rows_of(c.batch, a.dimensions) * padded(a.dimensions) +
                         staging::bytes(std::max(a.dimensions, a.latent));
    if (c.batch > 0)
        bytes += vae_training::bytes(state_->wide, place_on_device(layout), c.batch, c.samples);
    for (std::int64_t rows : c.slots)
        bytes += storage_bytes(c.storage, a.dimensions, rows);
    return bytes;
}

void cuda_vae_engine::reserve(const vae_capacity& c) {
    state_->activate();
    const std::int64_t d = layout.architecture.dimensions;
    one_step_ = {}; // first give back, then ask
    several_steps_ = {};
    training_.reset();
    data_.clear();
    input_ = {};
    input_ = device_buffer<float>(state_, "given rows", input_rows_of(c.batch, d) * padded(d));
    if (c.batch > 0) {
        network_.want_moments();
        training_.emplace(state_, network_.layout(), c.batch, c.samples);
    }
    storage_ = c.storage;
    for (std::int64_t rows : c.slots)
        data_.emplace_back(state_, "rows of data", storage_bytes(c.storage, d, rows));
}

row_source cuda_vae_engine::resident(std::int64_t dataset, std::int64_t slot) const {
    const std::int64_t d = layout.architecture.dimensions;
    return {data_[static_cast<std::size_t>(dataset)].data() + storage_bytes(storage_, d, slot), storage_,
            storage_stride(storage_, d), d};
}

void cuda_vae_engine::load(std::int64_t dataset, std::int64_t slot, const any_matrix_view& x) {
    state_->activate();
    staging_.for_each_piece({x, {}, 1}, [&](const device_input& piece, std::int64_t first) {
        store_rows(*state_, piece.x, resident(dataset, slot), first);
    });
    wait(); // the caller may change or free its rows from here on
}

row_source cuda_vae_engine::prepare(const vae_rows& rows, std::int64_t begin, std::int64_t count) {
    if (!rows.x.data)
        return resident(rows.dataset, rows.slot + begin);
    const std::int64_t d = layout.architecture.dimensions;
    const row_source input{input_.data(), row_storage::float32, padded(d), d};
    staging_.for_each_piece({rows.x.slice(begin, count), {}, 1}, [&](const device_input& piece, std::int64_t first) {
        store_rows(*state_, piece.x, input, first);
    });
    return input;
}

// Parameters --------------------------------------------------------------------------------------------------------

void cuda_vae_engine::set_vector(float* to, const std::vector<double>& from) {
    const std::vector<float> values = to_places(layout, from);
    copy_async(*state_, to, values.data(), network_.size());
    wait(); // the values are gone when this returns
}

std::vector<double> cuda_vae_engine::get_vector(const float* from) {
    std::vector<float> values(static_cast<std::size_t>(network_.size()));
    copy_async(*state_, values.data(), from, network_.size());
    wait(); // the host converts them
    return from_places(layout, values);
}

void cuda_vae_engine::set_parameters(const std::vector<double>& p) {
    state_->activate();
    const optimizer_view to = network_.vectors();
    set_vector(to.parameters, p);
    for (float* moments : {to.first_moment, to.second_moment})
        if (moments)
            clear_async(*state_, moments, network_.size());
    steps_ = 0;
    has_average_ = false;
    rounded_is_stale_ = true;
}

std::vector<double> cuda_vae_engine::parameters() {
    state_->activate();
    return get_vector(network_.vectors().parameters);
}

void cuda_vae_engine::set_optimizer(const optimizer_state& s) {
    state_->activate();
    network_.want_moments();
    set_vector(network_.vectors().first_moment, s.first_moment);
    set_vector(network_.vectors().second_moment, s.second_moment);
    steps_ = s.steps;
    has_average_ = !s.average.empty();
    if (has_average_) {
        network_.want_average();
        set_vector(network_.vectors().average, s.average);
    }
}

optimizer_state cuda_vae_engine::optimizer() {
    state_->activate();
    network_.want_moments();
    const optimizer_view of = network_.vectors();
    return {steps_, get_vector(of.first_moment), get_vector(of.second_moment),
            has_average_ ? get_vector(of.average) : std::vector<double>()};
}

// Training ----------------------------------------------------------------------------------------------------------

void cuda_vae_engine::prepare_training(const vae_settings& s) {
    const bool rounds = s.precision == vae::training_precision::bfloat16;
    if (rounds && rounded_is_stale_)
        network_.want_rounded();
    rounded_is_stale_ = !rounds; // the steps that follow round what they move
    if (s.average_decay > 0 && !has_average_) {
        network_.want_average();
        copy_async(*state_, network_.vectors().average, network_.vectors().parameters, network_.size());
    }
}

slice_plan cuda_vae_engine::training_plan(const vae_settings& s, std::int64_t epoch) const {
    slice_plan plan = {};
    const auto e = static_cast<std::uint64_t>(epoch);
    plan.latent = make_noise_key(s.seed, noise_purpose::latent, e);
    plan.binarization = make_noise_key(s.seed, noise_purpose::binarization, e);
    plan.binarize = s.binarize;
    plan.scale_window = static_cast<double>(s.scale_window);
    return plan;
}

void cuda_vae_engine::send_plan(slice_plan plan, const std::vector<step_schedule>& schedule,
                                const running_scale& scale) {
    plan.steps = static_cast<std::int64_t>(schedule.size());
    if (plan.steps > records_.size()) {
        records_ = device_buffer<step_record>(state_, "records of steps", plan.steps);
        schedule_ = device_buffer<step_schedule>(state_, "the schedule of steps", plan.steps);
    }
    copy_async(*state_, schedule_.data(), schedule.data(), plan.steps);
    plan.schedule = schedule_.data();
    plan.records = records_.data();
    const slice_state begin{0, steps_, false, 0, scale};
    copy_async(*state_, plan_.data(), &plan, 1);
    copy_async(*state_, slice_.data(), &begin, 1);
}

void cuda_vae_engine::keep_graphs(const vae_settings& s, std::int64_t batch) {
    if (graph_batch_ == batch && same_steps(graph_settings_, s))
        return;
    one_step_ = {};
    several_steps_ = {};
    graph_settings_ = s;
    graph_batch_ = batch;
}

void cuda_vae_engine::run_graph(unique_graph_exec& graph, std::int64_t steps, std::int64_t times) {
    if (times > 0 && !graph)
        graph = make_graph(*state_, [&] {
            for (std::int64_t i = 0; i < steps; ++i)
                training_->enqueue(network_, graph_settings_, {plan_.data(), slice_.data()}, graph_batch_, true);
        });
    for (std::int64_t i = 0; i < times; ++i)
        check(cudaGraphLaunch(graph.get(), state_->stream), "cudaGraphLaunch");
}

// Plain graphs, not a WHILE node: its body may refuse dependent launches, and each of its turns takes longer than a
// graph of several steps takes to follow another. The host is steps ahead, for it waits for nothing; after a step that
// was not finite the rest do nothing.
void cuda_vae_engine::run_steps(const vae_settings& s, std::int64_t batch, std::int64_t steps) {
    keep_graphs(s, batch);
    run_graph(several_steps_, steps_of_graph, steps / steps_of_graph);
    run_graph(one_step_, 1, steps % steps_of_graph);
}

std::vector<step_record> cuda_vae_engine::take_records(const vae_settings& s, std::int64_t steps, bool moved) {
    std::vector<step_record> records(static_cast<std::size_t>(steps));
    slice_state end = {};
    copy_async(*state_, &end, slice_.data(), 1);
    wait(); // the host reads how many records there are
    copy_async(*state_, records.data(), records_.data(), end.step);
    wait(); // ... and the records
    records.resize(static_cast<std::size_t>(end.step));
    if (const std::int64_t taken = end.step - (end.stopped ? 1 : 0); moved && taken > 0) {
        steps_ += taken;
        has_average_ = has_average_ || s.average_decay > 0;
    }
    return records;
}

std::vector<step_record> cuda_vae_engine::train(const vae_settings& s, const train_slice& slice) {
    state_->activate();
    const auto steps = static_cast<std::int64_t>(slice.steps.size());
    if (steps == 0)
        return {};
    prepare_training(s);
    slice_plan plan = training_plan(s, slice.epoch);
    plan.source = resident(0, 0);
    plan.order = make_shuffle(s.seed, static_cast<std::uint64_t>(slice.epoch), static_cast<std::uint32_t>(slice.window),
                              static_cast<std::uint64_t>(slice.window_rows));
    plan.rows = slice.window_rows;
    plan.first_row = slice.first_row;
    plan.first_position = slice.first_position;
    plan.batch = slice.batch;
    send_plan(plan, slice.steps, s.scale);
    run_steps(s, slice.batch, steps);
    return take_records(s, steps, true);
}

step_record cuda_vae_engine::one_step(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                                      const vae_rows& rows, bool moves) {
    state_->activate();
    slice_plan plan = training_plan(s, epoch);
    plan.source = prepare(rows, 0, rows.rows);
    plan.rows = plan.batch = rows.rows;
    plan.first_row = rows.first_row;
    send_plan(plan, {step}, s.scale);
    training_->enqueue(network_, s, {plan_.data(), slice_.data()}, rows.rows, moves);
    return take_records(s, 1, moves).front();
}

step_record cuda_vae_engine::train_on(const vae_settings& s, const step_schedule& step, std::int64_t epoch,
                                      const vae_rows& rows) {
    state_->activate();
    prepare_training(s);
    return one_step(s, step, epoch, rows, true);
}

step_record cuda_vae_engine::gradient(const vae_settings& s, double beta, std::int64_t epoch, const vae_rows& rows,
                                      std::vector<double>& out) {
    state_->activate();
    if (s.precision == vae::training_precision::bfloat16)
        network_.want_rounded();
    const step_record record = one_step(s, {0, beta}, epoch, rows, false);
    out = get_vector(training_->gradient());
    return record;
}

std::vector<std::string> cuda_vae_engine::products() const {
    return training_ ? training_->products() : std::vector<std::string>();
}

std::unique_ptr<vae_engine> make_vae(const context& ctx, const vae_layout& layout) {
    return std::make_unique<cuda_vae_engine>(layout, ctx.state().cuda);
}

} // namespace elbo::kernels::cuda
