// Fields of the options of regression by a mixture.
#pragma once

#include "elbo/gmm/regress.hpp"
#include "host/fields.hpp"

namespace elbo {

template <>
inline constexpr auto fields<gmm::regress_options> = [] {
    using s = gmm::regress_options;
    return table<s>(field{"covariances", &s::covariances, "Covariances of all pairs of columns, too"},
                    field{"responsibilities", &s::responsibilities, "p(k | x_b), too"});
}();

} // namespace elbo
