// What a start by k-means should take on one NVIDIA H200, from sample to parameters on the device (docs/kernels.md
// section 6, "Starts").
#pragma once

#include "bench/mixture/prediction.hpp"

#include <bit>

namespace elbo::bench {

/// Seconds of what waits for something else, estimates.
struct start_waits {
    double launch = 2.5e-6;       ///< of a kernel or a copy of few bytes
    double barrier = 1.3e-6;      ///< of the grid
    double choice = 8e-6;         ///< loads that wait for one another in a step of k-means++
    double iteration = 10e-6;     ///< the same in an iteration of Lloyd's
    double host_row = 25e-9;      ///< a row of the host that is gathered, anywhere in memory
    double host_bytes = 1 / 10e9; ///< a byte between the device and pageable memory
};

/// A start from `sample` of `rows` rows in `ways` coordinates: two of full covariances that are not of one dimension.
struct start_shape {
    gmm_shape shape;
    std::int64_t rows, sample, ways;
    bool from_host; ///< where the rows lie
};

inline constexpr double barriers_of_choice = 3, barriers_of_iteration = 6;
inline constexpr double fewest_lloyd_iterations = 10, most_lloyd_iterations = 30;

/// Centres of a tile of distances for so many: four a thread, of 1, 2, 4 or 8 groups of threads.
inline double padded_centres(std::int64_t count) {
    const auto quads = static_cast<std::uint64_t>((count + 3) / 4);
    const auto tile = static_cast<std::int64_t>(4 * std::min<std::uint64_t>(std::bit_ceil(quads), 8));
    return static_cast<double>((count + tile - 1) / tile * tile);
}

/// Launches in all.
inline double start_launches(std::int64_t ways) {
    const double total = 5, kmeans = 3, parameters = 5, likelihood = 2;
    return total + static_cast<double>(ways) * (kmeans + parameters + likelihood);
}
/// Float64 operations, a multiply-add as two, of a step of k-means++, which measures 2 + ln K candidates, and of the
/// distances of an iteration of Lloyd's: a difference and a multiply-add a row, padded centre and dimension.
inline double choice_operations(const start_shape& s) {
    const auto candidates = static_cast<std::int64_t>(2 + std::log(static_cast<double>(s.shape.components)));
    const double distances = 3 * static_cast<double>(s.shape.dimensions), beside = 21; // potentials, masses, draws
    return static_cast<double>(s.sample) * (distances + beside) * padded_centres(candidates);
}
inline double assignment_operations(const start_shape& s) {
    return 3 * static_cast<double>(s.sample * s.shape.dimensions) * padded_centres(s.shape.components);
}

inline prediction predict_start(const start_shape& s, const device_rates& device = {}) {
    constexpr start_waits waits;
    const double sample = static_cast<double>(s.sample), d = static_cast<double>(s.shape.dimensions);
    const double k = static_cast<double>(s.shape.components), ways = static_cast<double>(s.ways);
    // Two of three operations are in one instruction; half of the rate where operands come from shared memory.
    const double operations = 1.5 * device.fp64;
    const double bytes = 8 * sample * d;
    const double reading = bytes / (bytes < 25e6 ? device.cache : device.copy);
    const auto centre = [&](double share) {
        return barriers_of_choice * waits.barrier + waits.choice +
               std::max(choice_operations(s) / (share * operations), reading);
    };
    const auto iteration = [&](double share) {
        return barriers_of_iteration * waits.barrier + waits.iteration +
               std::max(assignment_operations(s) / (share * operations), reading) + 2 * reading;
    };
    const bool matrix = kernels::cuda::form_of(s.shape.family) == kernels::cuda::density_form::full;
    const double moments = sample * (matrix ? d * (d + 1) / 2 : d) * (1 + ways) / device.fp64;
    const prediction factors = predict_update(s.shape, device);
    const double numbers = k * ((matrix ? d * d : d) + d);
    // The draw looks at each row twice, 60 instructions a Philox number.
    double draw = 120 * static_cast<double>(s.rows) / device.instructions + bytes / device.copy;
    if (s.from_host)
        draw += sample * waits.host_row + (8 + 4 * d) * sample * waits.host_bytes;
    const double fixed =
        draw + (start_launches(s.ways) + 20) * waits.launch + 8 * numbers * waits.host_bytes; // and copies
    return {fixed + ways * (k * centre(1) + fewest_lloyd_iterations * iteration(1)) + moments +
                (1 + ways) * factors.low,
            fixed + ways * (k * centre(0.5) + most_lloyd_iterations * iteration(0.5)) + 3 * moments +
                (1 + ways) * factors.high};
}

} // namespace elbo::bench
