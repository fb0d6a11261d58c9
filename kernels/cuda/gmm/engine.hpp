// The CUDA back end of Gaussian mixtures.
#pragma once

#include "kernels/contract/gmm_engine.hpp"
#include "kernels/cuda/core/device_buffer.hpp"
#include "kernels/cuda/core/landing.hpp"
#include "kernels/cuda/gmm/e_step/accumulate.hpp"
#include "kernels/cuda/gmm/graph_loop.hpp"
#include "kernels/cuda/gmm/m_step/parameter_set.hpp"
#include "kernels/cuda/gmm/products/products.hpp"
#include "kernels/cuda/gmm/rows/known_rows.hpp"
#include "kernels/cuda/gmm/rows/staging.hpp"
#include "kernels/cuda/gmm/rows/survey.hpp"
#include "kernels/cuda/gmm/tensor/tensor.hpp"
#include "kernels/shared/m_step.hpp"

#include <optional>
#include <type_traits>

namespace elbo::kernels::cuda {

/// What does not depend on the element type.
class cuda_engine_base : public gmm_engine {
public:
    cuda_engine_base(const gmm_shape& s, state_pointer state) : gmm_engine(s), state_(std::move(state)) {}
    /// Blocks of the persistent kernels; by default as many as the device holds. No result depends on it.
    void set_grid(std::int64_t blocks) { grid_ = blocks; }
    /// Goes without the tensor variant and the products, as on other devices; before any training.
    void leave_tensor() { tensor_ = {}, abilities_.tensor = has_products_ = false; }
    /// Goes without the screen of the tensor variant, from here to the next reserve().
    void leave_homes() { homes_ = {}; }
    const row_homes& homes() const { return homes_; }
    bool has_tensor() const { return abilities_.tensor; }
    bool has_products() const { return has_products_; }
    /// Goes without clusters, as on devices that know none.
    void leave_clusters() { abilities_.cluster = 1; }

protected:
    state_pointer state_;
    std::int64_t grid_ = 0;
    device_abilities abilities_; ///< `tensor`: also that it suits the shape
    tensor_memory tensor_;       ///< empty without
    row_homes homes_;            ///< of the rows, with it
    bool has_products_ = false;
};

/// With a prior the M-step runs on the host: update() takes the sums there and brings the parameters back, and there is
/// no loop here, as the graph has no such step.
template <class T>
class cuda_engine final : public cuda_engine_base {
public:
    cuda_engine(const gmm_shape& s, const state_pointer& state);
    ~cuda_engine() override;

    std::int64_t summarize(const input_rows& in, unit_summaries& out) override;
    std::int64_t bytes_needed(std::int64_t rows, bool weighted, sample_labels::kind labels) const override;
    void reserve(std::int64_t rows, bool weighted, sample_labels::kind labels) override;
    void load(const input_rows& in, const frame& f, std::int64_t slot) override;

    void clear_sums(double component_bound, double scalar_bound) override;
    void accumulate(std::int64_t first, std::int64_t rows) override;
    void accumulate_scatter(std::int64_t first, std::int64_t rows, fixed_sums& scatter) override;
    fixed_sums sums() override;
    void set_sums(const fixed_sums& s) override;

    void set_parameters(const gmm_parameters& p) override;
    gmm_parameters parameters() override;
    std::vector<std::int32_t> reseeds() override;
    void set_reseeds(const std::vector<std::int32_t>& times) override;
    update_outcome update(const update_rule& rule) override;
    void adopt() override;

    std::optional<loop_result> run(std::int64_t rows, const loop_options& options) override;

    void infer(std::int64_t first, std::int64_t rows, const inference_results& to) override;

private:
    bool infers_by_tiles() const { return shape_inference(shape, sizeof(T)).tile_rows > 0; }
    /// Whether some way to run the shape needs the memory of a slab.
    bool has_slab() const;
    std::int64_t slab_rows() const { return slab_units(shape, sizeof(T)) * unit_rows; }
    slab_view<T> slab() { return {slab_densities_.data(), slab_whitened_.data()}; }
    void carry() { carry_sums(*state_, sums_), additions_ = 0; }
    device_rows<T> rows_view(std::int64_t first, std::int64_t rows) const;
    e_step_variant variant() const;
    void enqueue_accumulate(std::int64_t first, std::int64_t rows);
    std::int64_t product_bytes() const { return has_products() ? product_memory::bytes(shape) : 0; }
    /// Launches the products where there are some; what the fused variant asks whether they have done the work, or
    /// null.
    const int* enqueue_products(const device_rows<T>& rows);
    /// Of at most a slab; the results are in device memory.
    void enqueue_inference(const device_rows<T>& rows, const inference_results& to);
    /// An M-step from the sums: next parameters in the place of the current ones, these in the place of the next.
    update_arguments<T> update_of(const device_rule& rule, const loop_view& loop = {});
    device_rule upload_rule(const update_rule& rule);
    update_outcome update_on_host(const update_rule& rule);
    void upload_parameters(const gmm_parameters& p);
    void wait() { internal::wait_for(*state_); }
    template <class V>
    void copy_async(V* to, const V* from, std::int64_t count);

    /// What only training needs, made when that begins.
    struct training {
        parameter_set<T> next;
        device_buffer<std::int64_t> limbs;
        device_buffer<double> rule; ///< λ, then the scatter
        graph_loop loop;
        product_memory products; ///< empty where it goes without them
    };
    training& train();

    parameter_set<T> current_;
    update_memory arrays_;
    device_sums sums_;
    std::optional<training> training_;
    device_buffer<double> frame_; ///< centre, then scale
    frame loaded_frame_;          ///< what frame_ holds
    survey_pipeline survey_;
    device_buffer<T> slab_densities_, slab_whitened_;
    landing<double> log_density_, responsibilities_, log_joint_; ///< of inference, which alone needs them
    landing<std::int32_t> assignment_;
    staging staging_;
    std::optional<m_step> host_step_; ///< of updates with a prior
    device_buffer<T> rows_, weights_;
    known_rows<T> known_;
    std::int64_t additions_ = 0; ///< partials added to the sums since the last carry
};

template <class T>
const int* cuda_engine<T>::enqueue_products(const device_rows<T>& rows) {
    if constexpr (std::is_same_v<T, float>)
        if (has_products() && !rows.labelled()) {
            const product_view& products = train().products.view();
            accumulate_products(*state_, shape, current_.view(), rows, products, sums_, grid_ / 2);
            return products.near;
        }
    return nullptr;
}

} // namespace elbo::kernels::cuda
