// What the mixture benchmarks work on.
#pragma once

#include "bench/harness.hpp"
#include "elbo/gmm/model.hpp"
#include "kernels/contract/gmm_engine.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::bench {

/// One benchmark of it.
struct mixture_case {
    settings common;
    std::string operation;
    gmm::family shape;
    double spread;
    std::int64_t rows, dimensions, components;
};

/// A mixture of standard normals and rows drawn from it.
struct problem {
    kernels::gmm_parameters parameters;
    std::vector<float> x;
};

problem make_problem(const mixture_case& s);

/// Largest error of log-densities and responsibilities against the reference on a few rows, as a share of its bound.
double check(const mixture_case& s, const problem& p);

/// accumulate, update, infer and iteration: the parts of one step of EM at the parameters that the rows were drawn
/// from.
operation engine_operation(const mixture_case& s, const problem& p);

/// Summaries of the columns and normalised rows, of rows in the memory of the context.
operation load_operation(const mixture_case& s, const problem& p);

/// An iteration of k-means from the means that the rows were drawn about, and 0 where it gives the reference's bits.
operation kmeans_operation(const mixture_case& s, const problem& p);
double check_kmeans(const mixture_case& s, const problem& p);

/// The operations that are calls of the public interface, by name.
std::vector<std::string> model_operations();
operation model_operation(const mixture_case& s, problem p);

} // namespace elbo::bench
