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
    m.norms = from.take<T>(suits_dot_form(s) ? K : 0);
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
    carver count(nullptr);
    carve_arrays(shape, count);
    return count.used();
}

update_arrays update_memory::carve(const gmm_shape& shape, unsigned char* memory) {
    carver from(memory);
    return carve_arrays(shape, from);
}

} // namespace elbo::kernels::cuda
