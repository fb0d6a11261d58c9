// The weights of samples have moved to elbo/fit.hpp; the names in elbo::gmm stay.
#pragma once

#include "elbo/fit.hpp"
