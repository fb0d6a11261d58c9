// An engine that holds a model, for batches of rows.
#pragma once

#include "elbo/context.hpp"
#include "elbo/gmm/model.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <memory>

namespace elbo::gmm {

class scoring {
public:
    /// In the arithmetic for rows of this type.
    scoring(const context& ctx, const model& m, element_type type);

    kernels::gmm_engine& engine() const { return *engine_; }
    /// Memory for batches of up to so many rows with labels of this kind. Throws out_of_memory.
    void reserve(std::int64_t rows, sample_labels::kind known = sample_labels::kind::none);
    /// Of a batch, to host memory: log p(x) in units of the data, responsibilities [rows x k] and assignments; null
    /// pointers are skipped.
    void infer(const kernels::input_rows& batch, double* log_density, double* responsibilities,
               std::int32_t* assignment);

private:
    std::unique_ptr<kernels::gmm_engine> engine_;
    kernels::frame frame_;
    double shift_ = 0; ///< log-densities are larger by it in the frame
    std::int64_t rows_ = 0;
};

} // namespace elbo::gmm
