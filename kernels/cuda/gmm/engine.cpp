#include "kernels/cuda/gmm/engine.hpp"

#include "elbo/error.hpp"
#include "kernels/cuda/gmm/tensor/layout.hpp"
#include "kernels/math/fixed_point.hpp"
#include "kernels/math/normalize_statistics.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace elbo::kernels::cuda {

template <class T>
cuda_engine<T>::cuda_engine(const gmm_shape& s, const state_pointer& state)
    : cuda_engine_base(s, state), current_(state, s), arrays_(state, s), sums_{nullptr, sum_count(s), 0, 0},
      frame_(state, "the frame", 2 * s.dimensions), survey_(state, s.dimensions), staging_(state, s.dimensions) {
    const bool registers = choose_variant(s, sizeof(T)) == e_step_variant::registers;
    grid_ = std::int64_t(state->multiprocessors) * (registers ? register_blocks(s) : 2);
    abilities_ = {state->shared_bytes, largest_cluster(*state), suits_tensor(s, sizeof(T)) && tensor_supported(*state)};
    if (has_slab()) {
        slab_densities_ = {state, "the log-densities of a slab of rows", slab_rows() * s.components};
        slab_whitened_ = {state, "a slab of whitened rows", whitened_size(s, slab_rows())};
    }
    if (has_tensor())
        tensor_ = tensor_memory(state, s);
    has_products_ = suits_products(s, sizeof(T)) && tensor_supported(*state) && variant() == e_step_variant::fused;
}

template <class T>
cuda_engine<T>::~cuda_engine() = default;

template <class T>
bool cuda_engine<T>::has_slab() const {
    return !infers_by_tiles() || suits_tensor(shape, sizeof(T)) ||
           choose_variant(shape, sizeof(T), true, abilities_) == e_step_variant::slab;
}

template <class T>
typename cuda_engine<T>::training& cuda_engine<T>::train() {
    if (!training_) {
        training_.emplace(training{{state_, shape},
                                   {state_, "the sums", limb_count * sum_count(shape)},
                                   {state_, "the update rule", shape.dimensions + scatter_size(shape)},
                                   {state_, shape},
                                   has_products() ? product_memory(state_, shape) : product_memory()});
        sums_.limbs = training_->limbs.data();
    }
    return *training_;
}

template <class T>
std::int64_t cuda_engine<T>::bytes_needed(std::int64_t rows, bool weighted, sample_labels::kind labels) const {
    const std::int64_t d = shape.dimensions, element = sizeof(T);
    const std::int64_t fixed =
        2 * parameter_set<T>::bytes(shape) + update_memory::bytes(shape) +
        8 * (limb_count * sum_count(shape) + d + scatter_size(shape) + 2 * d) + survey_pipeline::bytes(d) +
        (has_slab() ? element * (slab_rows() * shape.components + whitened_size(shape, slab_rows())) : 0) +
        staging::bytes(d) + (has_tensor() ? tensor_memory::bytes(shape) + row_homes::bytes(shape, rows) : 0) +
        product_bytes();
    return fixed + element * rows * (row_stride(shape, element) + (weighted ? 1 : 0)) +
           known_rows<T>::bytes(labels, rows, shape.components);
}

template <class T>
template <class V>
void cuda_engine<T>::copy_async(V* to, const V* from, std::int64_t count) {
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(V), cudaMemcpyDefault, state_->stream),
          "cudaMemcpyAsync");
}

template <class T>
std::int64_t cuda_engine<T>::summarize(const input_rows& in, unit_summaries& out) {
    state_->activate();
    survey_.begin(out);
    staging_.for_each_piece(in, [&](const device_input& piece, std::int64_t first) { survey_.add(piece, first); });
    return survey_.end();
}

template <class T>
void cuda_engine<T>::reserve(std::int64_t rows, bool weighted, sample_labels::kind labels) {
    rows_ = {}, weights_ = {}, homes_ = {}, known_ = {}; // first give back, then ask
    rows_ = device_buffer<T>(state_, "normalised rows", rows * row_stride(shape, sizeof(T)));
    weights_ = weighted ? device_buffer<T>(state_, "weights", rows) : device_buffer<T>();
    known_ = known_rows<T>(state_, labels, rows, shape.components);
    homes_ = has_tensor() ? row_homes(state_, shape, rows) : row_homes();
}

template <class T>
void cuda_engine<T>::load(const input_rows& in, const frame& f, std::int64_t slot) {
    state_->activate();
    const std::int64_t d = shape.dimensions, stride = row_stride(shape, sizeof(T));
    if (f.centre != loaded_frame_.centre || f.scale != loaded_frame_.scale) {
        copy_async(frame_.data(), f.centre.data(), d);
        copy_async(frame_.data() + d, f.scale.data(), d);
        wait(); // the caller may free the frame; once a fit, so that streamed rows wait for nothing
        loaded_frame_ = f;
    }
    staging_.for_each_piece(in, [&](const device_input& piece, std::int64_t first) {
        normalize_rows(*state_, piece, frame_.data(), frame_.data() + d, rows_.data() + (slot + first) * stride, stride,
                       weights_.data() ? weights_.data() + slot + first : nullptr);
    });
    known_.load(in, slot);
    homes_.forget(slot, in.x.rows);
    if (in.x.space == memory_space::device || in.weights.space == memory_space::device)
        wait(); // the caller may change or free its rows from here on
}

template <class T>
device_rows<T> cuda_engine<T>::rows_view(std::int64_t first, std::int64_t rows) const {
    const std::int64_t stride = row_stride(shape, sizeof(T));
    device_rows<T> view{rows_.data() + first * stride, weights_.data() ? weights_.data() + first : nullptr, stride,
                        rows};
    known_.show(first, view);
    return view;
}

template <class T>
void cuda_engine<T>::clear_sums(double component_bound, double scalar_bound) {
    state_->activate();
    sums_.component_exponent = fixed_exponent(component_bound);
    sums_.scalar_exponent = fixed_exponent(scalar_bound);
    check(cudaMemsetAsync(train().limbs.data(), 0, static_cast<std::size_t>(train().limbs.size()) * 8, state_->stream),
          "cudaMemsetAsync");
    additions_ = 0;
}

template <class T>
e_step_variant cuda_engine<T>::variant() const {
    return choose_variant(shape, sizeof(T), !known_.empty(), abilities_);
}

template <class T>
void cuda_engine<T>::enqueue_accumulate(std::int64_t first, std::int64_t rows) {
    const device_rows<T> view = rows_view(first, rows);
    if constexpr (std::is_same_v<T, float>)
        switch (variant()) {
        case e_step_variant::registers:
            return accumulate_registers(*state_, shape, current_.view(), view, sums_, grid_);
        case e_step_variant::mma:
            return accumulate_mma(*state_, shape, current_.view(), view, sums_);
        case e_step_variant::tensor:
            return accumulate_tensor(*state_, shape, current_.view(), view, tensor_.view(), homes_.view().from(first),
                                     slab_densities_.data(), sums_, grid_ / 2); // one block a multiprocessor
        default:
            break;
        }
    if (variant() == e_step_variant::fused)
        return accumulate_fused(*state_, shape, current_.view(), view, sums_, abilities_, grid_,
                                enqueue_products(view));
    accumulate_slab(*state_, shape, current_.view(), view, slab(), sums_);
}

template <class T>
void cuda_engine<T>::accumulate(std::int64_t first, std::int64_t rows) {
    state_->activate();
    const std::int64_t chunk = chunk_rows(shape, sizeof(T), !known_.empty(), abilities_);
    // The slab variant adds the squares of a spherical component one dimension at a time, each block of a cluster its
    // share of Σ log π, the row rule of the tensor variant the scalars of its rows.
    const std::int64_t each =
        std::max({shape.family == gmm::family::spherical ? shape.dimensions : 1, abilities_.cluster,
                  variant() == e_step_variant::tensor ? unit_rows / rule_rows : 1});
    const std::int64_t step =
        std::max<std::int64_t>(additions_between_carries / each, 1) * unit_rows / (unit_rows / chunk);
    for (std::int64_t begin = 0; begin < rows; begin += step) {
        const std::int64_t count = std::min(step, rows - begin);
        const std::int64_t additions = blocks_for(count, chunk) * each;
        if (additions_ + additions > additions_between_carries)
            carry();
        enqueue_accumulate(first + begin, count);
        additions_ += additions;
    }
}

template <class T>
void cuda_engine<T>::accumulate_scatter(std::int64_t first, std::int64_t rows, fixed_sums& scatter) {
    state_->activate();
    const std::int64_t entries = scatter.count();
    device_buffer<std::int64_t> limbs(state_, "the scatter matrix", limb_count * entries);
    copy_async(limbs.data(), scatter.limbs.data(), limb_count * entries);
    cuda::accumulate_scatter(*state_, shape, rows_view(first, rows), limbs.data(), entries, scatter.component_exponent);
    carry_sums(*state_, {limbs.data(), entries, 0, 0});
    copy_async(scatter.limbs.data(), limbs.data(), limb_count * entries);
    wait(); // the host reads the limbs
}

template <class T>
fixed_sums cuda_engine<T>::sums() {
    state_->activate();
    fixed_sums all(sums_.count, scalar_count, 1, 1);
    all.component_exponent = sums_.component_exponent;
    all.scalar_exponent = sums_.scalar_exponent;
    carry();
    copy_async(all.limbs.data(), train().limbs.data(), train().limbs.size());
    wait(); // the host reads the limbs
    return all;
}

template <class T>
void cuda_engine<T>::set_sums(const fixed_sums& s) {
    state_->activate();
    sums_.component_exponent = s.component_exponent;
    sums_.scalar_exponent = s.scalar_exponent;
    copy_async(train().limbs.data(), s.limbs.data(), train().limbs.size());
    carry();
    wait(); // the caller may free the sums
}

template <class T>
void cuda_engine<T>::set_parameters(const gmm_parameters& p) {
    state_->activate();
    const update_arrays& a = arrays_.view();
    upload_parameters(p);
    check(cudaMemsetAsync(a.reseeds, 0, static_cast<std::size_t>(shape.components) * sizeof(std::int32_t),
                          state_->stream),
          "cudaMemsetAsync");
    write_model(*state_, update_arguments<T>{shape, a, current_.view()});
    wait(); // the caller may free the parameters
}

template <class T>
void cuda_engine<T>::upload_parameters(const gmm_parameters& p) {
    const update_arrays& a = arrays_.view();
    copy_async(a.log_weights, p.log_weights.data(), shape.components);
    copy_async(a.means, p.means.data(), shape.components * shape.dimensions);
    copy_async(a.factors, p.precision_cholesky.data(), static_cast<std::int64_t>(p.precision_cholesky.size()));
}

template <class T>
gmm_parameters cuda_engine<T>::parameters() {
    state_->activate();
    const std::int64_t K = shape.components, d = shape.dimensions, width = padded(d);
    const device_model<T>& m = current_.view();
    std::vector<T> means(static_cast<std::size_t>(K * width));
    std::vector<T> factors(static_cast<std::size_t>(device_factor_size(shape)));
    gmm_parameters p;
    p.log_weights.resize(static_cast<std::size_t>(K));
    copy_async(p.log_weights.data(), m.log_weights, K);
    copy_async(means.data(), m.means, K * width);
    copy_async(factors.data(), m.factors, static_cast<std::int64_t>(factors.size()));
    wait(); // the host unpacks them
    for (std::int64_t k = 0; k < K; ++k)
        for (std::int64_t j = 0; j < d; ++j)
            p.means.push_back(static_cast<double>(means[k * width + j]));
    const bool matrix = form_of(shape.family) != density_form::diagonal;
    const std::int64_t size = gmm::covariance_size(shape.family, K, d);
    // Numbers of a row in the model, and of the same row here: a scalar of the spherical families stands in d places.
    const std::int64_t row = d / geometry(shape.family).repeats(d);
    for (std::int64_t i = 0; i < size; ++i) {
        const std::int64_t block = matrix ? i / (d * d) * width : 0;
        const std::int64_t line = matrix ? i / d % d : i / row;
        p.precision_cholesky.push_back(static_cast<double>(factors[(block + line) * width + i % row]));
    }
    return p;
}

template <class T>
std::vector<std::int32_t> cuda_engine<T>::reseeds() {
    state_->activate();
    std::vector<std::int32_t> times(static_cast<std::size_t>(shape.components));
    copy_async(times.data(), arrays_.view().reseeds, shape.components);
    wait(); // the caller reads them
    return times;
}

template <class T>
void cuda_engine<T>::set_reseeds(const std::vector<std::int32_t>& times) {
    state_->activate();
    copy_async(arrays_.view().reseeds, times.data(), shape.components);
    wait(); // the caller may free them
}

template <class T>
device_rule cuda_engine<T>::upload_rule(const update_rule& rule) {
    const std::int64_t d = shape.dimensions;
    copy_async(train().rule.data(), rule.lambda.data(), d);
    copy_async(train().rule.data() + d, rule.scatter.data(), scatter_size(shape));
    double mean = 0;
    for (double lambda : rule.lambda)
        mean += lambda / static_cast<double>(d);
    return {rule.total_weight, mean, train().rule.data(), train().rule.data() + d, rule.on_collapse, rule.reseeds_each};
}

/// The M-step on the host, in float64, from sums and to parameters on the device: with a prior.
template <class T>
update_outcome cuda_engine<T>::update_on_host(const update_rule& rule) {
    if (!host_step_)
        host_step_.emplace(shape, 1);
    gmm_parameters next;
    const update_outcome outcome = host_step_->run(parameters(), normalized_sums(sums(), shape), rule, next);
    upload_parameters(next);
    write_model(*state_, update_arguments<T>{shape, arrays_.view(), train().next.view()});
    wait(); // `next` ends here
    return outcome;
}

template <class T>
update_arguments<T> cuda_engine<T>::update_of(const device_rule& rule, const loop_view& loop) {
    return {shape,
            arrays_.view(),
            current_.view(),
            train().next.view(),
            sums_,
            rule,
            loop,
            factor_limit(abilities_.shared_bytes)};
}

template <class T>
update_outcome cuda_engine<T>::update(const update_rule& rule) {
    if (rule.prior)
        return update_on_host(rule);
    state_->activate();
    update_parameters(*state_, update_of(upload_rule(rule)));
    std::swap(current_, train().next); // until adopt()
    update_record record{};
    copy_async(&record, arrays_.view().record, 1);
    wait(); // the host reads the outcome
    std::vector<collapse_action> actions(static_cast<std::size_t>(record.actions));
    if (!actions.empty()) {
        copy_async(actions.data(), arrays_.view().actions, record.actions);
        wait(); // the host reads the events
    }
    return to_outcome(record, actions.data());
}

template <class T>
void cuda_engine<T>::adopt() {
    state_->activate();
    std::swap(current_, train().next);
}

template <class T>
std::optional<loop_result> cuda_engine<T>::run(std::int64_t rows, const loop_options& options) {
    if (options.rule.prior || !graph_loop::supported())
        return std::nullopt;
    state_->activate();
    const device_rule rule = upload_rule(options.rule);
    clear_sums(options.component_bound, options.scalar_bound); // once: the update leaves them clear
    const loop_result result = train().loop.run(options, [&](const loop_view& loop) {
        if constexpr (std::is_same_v<T, float>)
            if (iterates_alone(variant(), rows))
                return iterate_registers(*state_, update_of(rule, loop), rows_view(0, rows));
        accumulate(0, rows);
        update_parameters(*state_, update_of(rule, loop));
    });
    std::swap(current_, train().next); // those of the last E-step
    return result;
}

template <class T>
void cuda_engine<T>::enqueue_inference(const device_rows<T>& rows, const inference_results& to) {
    if constexpr (std::is_same_v<T, float>)
        if (has_tensor()) {
            tensor_densities(*state_, shape, current_.view(), rows, tensor_.view(), slab_densities_.data(), grid_ / 2);
            tensor_posteriors(*state_, shape, current_.view(), rows.rows, slab_densities_.data(), to);
            return;
        }
    if (infers_by_tiles())
        return infer_by_tiles(*state_, shape, current_.view(), rows, to);
    slab_densities(*state_, shape, current_.view(), rows, slab());
    slab_posteriors(*state_, shape, current_.view(), rows.rows, slab(), to);
}

template <class T>
void cuda_engine<T>::infer(std::int64_t first, std::int64_t rows, const inference_results& to) {
    state_->activate();
    if constexpr (std::is_same_v<T, float>)
        if (has_tensor())
            write_tensor_panels(*state_, shape, current_.view(), tensor_.view());
    // The memory of a slab, and of results on their way to the host, is bounded.
    const std::int64_t step = has_tensor()                         ? tensor_slab_rows(shape)
                              : infers_by_tiles() && !to.on_host() ? rows
                                                                   : slab_rows();
    for (std::int64_t begin = 0; begin < rows; begin += step) {
        const std::int64_t count = std::min(step, rows - begin);
        const inference_results some = to.slice(begin, count);
        enqueue_inference(rows_view(first + begin, count),
                          {log_density_.at(state_, some.log_density),
                           responsibilities_.at(state_, some.responsibilities), assignment_.at(state_, some.assignment),
                           log_joint_.at(state_, some.log_joint), some.shift});
        for (const auto* part : {&log_density_, &responsibilities_, &log_joint_})
            part->deliver(*state_);
        assignment_.deliver(*state_);
    }
    wait(); // the caller reads the results
}

template class cuda_engine<float>;
template class cuda_engine<double>;

std::unique_ptr<gmm_engine> make_gmm(const context& ctx, const gmm_shape& shape, element_type precision) {
    const auto& state = ctx.state().cuda;
    if (precision == element_type::float32)
        return std::make_unique<cuda_engine<float>>(shape, state);
    return std::make_unique<cuda_engine<double>>(shape, state);
}

} // namespace elbo::kernels::cuda
