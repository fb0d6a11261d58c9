// Values of a file times a number.
#include "elbo/error.hpp"
#include "tests/support/io_files.hpp"

#include <cmath>
#include <limits>

namespace elbo::test {
namespace {

file_options scaled_by(double scale) {
    file_options options;
    options.scale = scale;
    return options;
}

TEST(IoScaledSource, GreyValuesBecomeTheNearestFloat32Probabilities) {
    const temporary_folder folder;
    // idx: type uint8, two extents, 2 x 3 numbers.
    const std::string path =
        folder.write("grey.idx", std::string("\0\0\x08\x02\0\0\0\x02\0\0\0\x03\0\x01\x7f\x80\xfe\xff", 18));
    const data_source source = data_source::file(path, scaled_by(1.0 / 255));
    EXPECT_EQ(source.type(), element_type::float32);
    EXPECT_FALSE(source.contiguous());
    std::vector<double> expected;
    for (const int k : {0, 1, 127, 128, 254, 255})
        expected.push_back(static_cast<float>(k * (1.0 / 255)));
    for (const std::int64_t rows_per_batch : {1, 2, 5})
        EXPECT_EQ(all_numbers(source, rows_per_batch), expected);
}

TEST(IoScaledSource, TextStaysFloat64WithItsNames) {
    const temporary_folder folder;
    const data_source source = data_source::file(folder.write("a.csv", "u,v\n0.1,2\n-3,4\n"), scaled_by(0.5));
    EXPECT_EQ(source.column_names(), (std::vector<std::string>{"u", "v"}));
    EXPECT_EQ(all_numbers(source), (std::vector<double>{0.05, 1, -1.5, 2}));
}

TEST(IoScaledSource, OneLeavesTheSourceAsItIs) {
    const temporary_folder folder;
    file_options options = scaled_by(1);
    options.dimensions = 2;
    options.map = true;
    const data_source plain = data_source::file(folder.write("a.f32", "abcdefgh"), options);
    EXPECT_TRUE(plain.contiguous()) << "no wrapper, so still one mapped matrix";
}

TEST(IoScaledSource, AWrongScaleIsNamed) {
    for (const double scale : {0.0, std::numeric_limits<double>::infinity(), std::nan("")})
        expect_error<invalid_argument>([&] { data_source::file(test_data("faithful.csv"), scaled_by(scale)); },
                                       {"scale = ", "other than 0"});
}

} // namespace
} // namespace elbo::test
