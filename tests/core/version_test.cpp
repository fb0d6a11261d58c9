#include "elbo/version.hpp"
#include <gtest/gtest.h>
TEST(version, is_set) {
    EXPECT_FALSE(elbo::version.empty());
    EXPECT_EQ(elbo::version_major, 0);
}
