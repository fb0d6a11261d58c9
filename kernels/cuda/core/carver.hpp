// Pieces of one allocation, or of the shared memory of a block.
#pragma once

#include "kernels/math/macros.hpp"

#include <cstdint>

namespace elbo::kernels::cuda {

/// Hands out 16-byte aligned pieces of an allocation; with a null begin it only counts.
class carver {
public:
    ELBO_HD explicit carver(unsigned char* begin) : begin_(begin) {}
    template <class T>
    ELBO_HD T* take(std::int64_t count) {
        T* piece = begin_ ? reinterpret_cast<T*>(begin_ + used_) : nullptr;
        used_ += (count * static_cast<std::int64_t>(sizeof(T)) + 15) / 16 * 16;
        return piece;
    }
    ELBO_HD std::int64_t used() const { return used_; }

private:
    unsigned char* begin_;
    std::int64_t used_ = 0;
};

} // namespace elbo::kernels::cuda
