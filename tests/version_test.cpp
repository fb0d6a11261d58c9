#include <gtest/gtest.h>
#include "elbo/version.hpp"
TEST(version, is_set) { EXPECT_FALSE(elbo::version.empty()); EXPECT_EQ(elbo::version_major, 0); }
