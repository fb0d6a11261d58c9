#include "elbo/version.hpp"
#include <gtest/gtest.h>
TEST(Version, IsSet) {
    EXPECT_FALSE(elbo::version.empty());
    EXPECT_EQ(elbo::version_major, 0);
}
