// What a back end offers, in one table, which its contexts point to: engines, contexts and their memory. A new back end
// is a folder in kernels with such a table, and a line in backend_table.cpp.
#pragma once

#include "elbo/context.hpp"
#include "elbo/matrix_view.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace elbo::kernels {

class gmm_engine;
class kmeans_engine;
class start_engine;
class vae_engine;
template <class Parameters>
class row_engine;
struct latent_parameters;
using latent_engine = row_engine<latent_parameters>;
struct sphere_law;
template <class Law>
struct radial_parameters;
using sphere_engine = row_engine<radial_parameters<sphere_law>>;
struct gmm_shape;
struct vae_layout;

// Engines of a context; the reference computes in float64 whatever `precision` is.
using gmm_factory = std::unique_ptr<gmm_engine>(const context&, const gmm_shape&, element_type precision);
using kmeans_factory = std::unique_ptr<kmeans_engine>(const context&);
using start_factory = std::unique_ptr<start_engine>(const context&, const gmm_shape&);
using latent_factory = std::unique_ptr<latent_engine>(const context&, std::int64_t dimensions);
using sphere_factory = std::unique_ptr<sphere_engine>(const context&, std::int64_t dimensions);
using vae_factory = std::unique_ptr<vae_engine>(const context&, const vae_layout&);

/// Work on some device memory in its order, for those who have no context: sources of rows.
class device_queue {
public:
    virtual ~device_queue() = default;
    /// Waits for all that was enqueued before. Throws cuda_error.
    virtual void wait() const = 0;
    /// Memory for `rows` rows of `row_bytes` bytes on the same device. Throws out_of_memory and cuda_error.
    virtual std::shared_ptr<void> allocate(std::int64_t rows, std::int64_t row_bytes) const = 0;
    /// Copies `rows` rows of `row_bytes` bytes, `stride_bytes` apart in device memory, to where they lie densely packed
    /// in device or host memory, and waits for it. Throws cuda_error.
    virtual void copy(void* to, const void* from, std::int64_t rows, std::int64_t row_bytes,
                      std::int64_t stride_bytes) const = 0;
};

struct backend_table {
    backend where;
    memory_space memory; ///< that it computes on

    gmm_factory* gmm;
    kmeans_factory* kmeans;
    latent_factory* latent;
    sphere_factory* sphere;
    vae_factory* vae;

    /// A context on `number` threads, or on device `number` with a stream of its own; throws not_available, saying why.
    std::shared_ptr<elbo::internal::context_state> (*open)(int number);
    /// What there is to compute on; throws not_available where it cannot be used.
    std::vector<device_info> (*devices)();
    void (*wait)(const elbo::internal::context_state&);
    /// Memory that is freed in the order of the context's work; throws out_of_memory.
    std::shared_ptr<void> (*allocate)(const elbo::internal::context_state&, std::int64_t bytes);
    /// Copies rows of row_bytes bytes between any memories, in the order of the context's work; strides in bytes.
    void (*copy)(const elbo::internal::context_state&, void* to, std::int64_t to_stride, const void* from,
                 std::int64_t from_stride, std::int64_t row_bytes, std::int64_t rows);
    /// The queue for memory that is not the host's; null where all is.
    std::shared_ptr<const device_queue> (*queue_of)(const void* memory);
    start_factory* start; ///< null where the host's own arithmetic serves
};

/// Each in core/backend.cpp of its back end, if that is built.
extern const backend_table reference_table, cpu_table, cuda_table;

/// The table of a back end. Throws not_available where it is not in this build.
const backend_table& table_of(backend where);
/// The queue of memory on a device.
std::shared_ptr<const device_queue> queue_of(const void* device_memory);

} // namespace elbo::kernels
