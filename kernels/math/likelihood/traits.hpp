// What a likelihood p(x | z) says of itself. Each is a struct of this folder in namespace likelihoods, families.hpp
// lists them, and all back ends and the host code work with what is here: a new one needs its struct, its name in
// elbo/vae/architecture.hpp and host/vae/fields.hpp, and nothing else.
//
// A likelihood of single numbers (facts.blocks == false) has
//   term<M>      log p(x | z) of one number with all constants, its derivatives with respect to what the decoder puts
//                out and, with second_sum::own_gradient, to the likelihood's own parameter
//   mean<M>      E[x | z]
// and one of blocks what categorical.hpp has. M is scalar_math of the number's type, or vector_math of kernels/cpu.
#pragma once

#include "elbo/vae/architecture.hpp"
#include "kernels/math/elementary.hpp"
#include "kernels/math/vae_random.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace elbo::kernels {

/// A number of a row and what it is judged by.
template <class M>
struct observed_number {
    typename M::real x, output;     ///< output: of the decoder
    typename M::real own = {};      ///< the likelihood's own parameter: ln σ²
    typename M::real prepared = {}; ///< prepare(own)
    typename M::real total = {};    ///< of counts: the sum of the row with likelihood.library_size, else 1
    vae::count_mean form = {};      ///< of counts
};

/// A term of log p(x | z) with its derivative with respect to the output; second: see second_sum.
template <class M>
struct likelihood_term {
    typename M::real value, gradient;
    typename M::real second = {};
};

/// What is added up beside log p(x | z).
enum class second_sum {
    none,
    squared_error, ///< (x − mean)², of which the derivative with respect to ln σ² follows
    own_gradient   ///< the derivative with respect to the likelihood's own parameter
};

struct likelihood_facts {
    bool blocks = false; ///< terms are of blocks of columns
    bool counts = false; ///< what the row adds up to may be a factor of the mean, and the encoder may see ln(1 + x)
    second_sum second = second_sum::none;
    std::string_view values = "finite numbers";                      ///< that x may have, for messages
    std::string_view means = "a number within the range of float32"; ///< that data may have on average
    std::string_view own = {};       ///< name of the own parameter in model files, empty where there is none
    std::string_view parameter = {}; ///< name of what it stands for: sigma
    std::string_view members = {};   ///< of vae::likelihood that it uses, parted by spaces
};

/// Random words of a row of samples.
struct row_noise {
    noise_key key;
    std::uint64_t row;
    philox_block words(std::int64_t block, std::uint32_t draw = 0) const {
        return noise_words(key, row, draw, static_cast<std::uint32_t>(block));
    }
    /// One word for each column.
    std::uint32_t word(std::int64_t column) const { return words(column / 4).word[column % 4]; }
};

namespace likelihoods {

/// What holds for most.
struct likelihood_base {
    static constexpr likelihood_facts facts{};

    /// Where the own parameter comes from, and where it begins; fixed where there is none.
    static vae::parameter_source source(const vae::likelihood&) { return vae::parameter_source::fixed; }
    static double initial(const vae::likelihood&) { return 0; }
    /// What it stands for.
    static double natural(double own) { return own; }
    /// What a term uses of it, made once where that saves time.
    template <class Real>
    ELBO_HD static Real prepare(Real own) {
        return own;
    }
    /// The part of a term that depends on nothing else, which vector kernels leave out.
    static double constant(double /*own*/) { return 0; }
    /// ∂ log p / ∂ own of a term.
    template <class M>
    ELBO_HD static typename M::real own_gradient(const likelihood_term<M>& term, typename M::real /*prepared*/) {
        return term.second;
    }

    /// Whether a finite x is possible at all (a block: an entry).
    ELBO_HD static bool allows(double /*x*/) { return true; }
    static bool allows_mean(double mean) { return std::abs(mean) <= std::numeric_limits<float>::max(); }
};

/// Probabilities are kept this far from 0 and 1 at the beginning: a logit must be finite, and a value that the training
/// data never show must stay possible.
inline constexpr double smallest_probability = 1e-4;

} // namespace likelihoods
} // namespace elbo::kernels
