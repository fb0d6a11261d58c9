#include "kernels/cuda/gmm/m_step/parameter_set.hpp"

#include "kernels/cuda/core/carver.hpp"

namespace elbo::kernels::cuda {

namespace {

template <class T>
device_model<T> carve_model(const gmm_shape& s, carver& from) {
    const std::int64_t K = s.components, p = padded(s.dimensions);
    device_model<T> m{};
    m.log_weights = from.take<double>(K);
    m.constants = from.take<double>(K);
    m.reference = from.take<double>(1);
    m.means = from.take<T>(K * p);
    m.factors = from.take<T>(device_factor_size(s));
    m.whitened =
        from.take<T>(form_of(s.family) == density_form::full && s.dimensions > register_row_dimensions ? 0 : K * p);
    m.offsets = from.take<T>(K);
    return m;
}

} // namespace

template <class T>
std::int64_t parameter_set<T>::bytes(const gmm_shape& shape) {
    carver count(nullptr);
    carve_model<T>(shape, count);
    return count.used();
}

template <class T>
device_model<T> parameter_set<T>::carve(const gmm_shape& shape, unsigned char* memory) {
    carver from(memory);
    return carve_model<T>(shape, from);
}

template class parameter_set<float>;
template class parameter_set<double>;

std::int64_t update_memory::bytes(const gmm_shape& shape) {
    std::int64_t used = 0;
    carve(shape, nullptr, &used);
    return used;
}

update_arrays update_memory::carve(const gmm_shape& s, unsigned char* memory, std::int64_t* used) {
    const std::int64_t K = s.components, d = s.dimensions;
    const bool tied = gmm::is_tied(s.family);
    carver from(memory);
    update_arrays a{};
    a.log_weights = from.take<double>(K);
    a.means = from.take<double>(K * d);
    a.factors = from.take<double>(gmm::covariance_size(s.family, K, d));
    a.variances = from.take<double>((tied ? 1 : K) * d);
    a.between = from.take<double>(s.family == gmm::family::tied ? d * d : tied ? d : 0);
    a.counts = from.take<double>(K);
    a.changes = from.take<double>(K);
    a.log_determinants = from.take<double>(K);
    a.quadratics = from.take<double>(K);
    a.widest_variances = from.take<double>(K);
    a.widest_axes = from.take<std::int64_t>(K);
    a.states = from.take<component_state>(K);
    a.reseeds = from.take<std::int32_t>(K);
    a.common_floor = from.take<std::int32_t>(1);
    a.record = from.take<update_record>(1);
    a.actions = from.take<collapse_action>(K + 1);
    if (used)
        *used = from.used();
    return a;
}

} // namespace elbo::kernels::cuda
